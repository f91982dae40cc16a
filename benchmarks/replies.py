"""Is the cause right? Judges replies that the rules were not written from, by source and by cause; and how fast.

Of the corpora, the rules were written with one half at hand (`written_from`); the other is only measured. The replies
of data/mta were given by a scripted server to real ones, and by these; exam.jsonl has harder ones, of many manners,
written before a look at how they are judged. The model learnt from none of them: benchmarks/train.py says from what.
Exits 1 below the targets.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from rig import Target, arguments, shared, verdict

from logscan.classifier import classify_texts

RIGHT, OF_A_SOURCE, MEAN_OF_CAUSES, CODES, ENHANCED = 0.85, 0.75, 0.80, 0.99, 0.995
TEXTS_A_SECOND, REPLIES_A_SECOND = 50_000, 1_000_000
SUCCESSES = 0.9
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """A reply, what a reader allows as its cause, and the codes that it states."""

    source: str
    text: str
    gold: tuple[str, ...]
    code: int | None = None
    enhanced: str | None = None
    stage: str | None = None


def written_from(identity: str) -> bool:
    """Whether a reply of the corpora was at hand when the rules were written: every other one, by a hash.

    >>> written_from("sisimai-mails:edb86f260125")
    False
    """
    return hashlib.sha256(identity.encode()).digest()[0] % 2 == 0


def of_corpora(path: Path) -> list[Case]:
    """The half of the corpora's replies that is only measured."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Case(row["source"], row["text"], tuple(row["gold"]), _number(row.get("code")), row.get("enhanced"))
        for row in rows
        if row.get("gold") and not written_from(row["id"])
    ]


def of_servers(path: Path) -> list[Case]:
    """The distinct replies of data/mta that decided something."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["kind"] != "reply" or not row.get("cause"):
            continue
        enhanced = f"{row['enhanced']} " if row["enhanced"] else ""
        text = f"{row['code']} {enhanced}{' '.join(row['text'])}"
        alternative = row.get("cause_alt") or ()
        gold = (row["cause"], *([alternative] if isinstance(alternative, str) else alternative))
        stage = {"eod": "end-of-data", "ehlo": "helo"}.get(row["stage"], row["stage"])
        found[text, stage] = Case("mta", text, gold, row["code"], row["enhanced"], stage)
    return list(found.values())


def of_sources(path: Path, sources: set[str]) -> list[Case]:
    """Replies of these sources in learnt.jsonl: to be judged by a model that was trained without them."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Case(row["source"], row["text"], tuple(row["gold"]), _number(row.get("code")), row.get("enhanced"))
        for row in rows
        if row["source"] in sources
    ]


def _number(code: Any) -> int | None:
    return int(code) if code else None


def measure(cases: list[Case]) -> list[Target]:
    """Judge the cases, print how often that is right, and give the targets."""
    judged = classify_texts(
        pa.array([case.text for case in cases]), stage=pa.array([case.stage for case in cases], pa.string())
    ).to_pylist()
    right = [said["cause"] in case.gold for case, said in zip(cases, judged, strict=True)]
    by_source = _shares(cases, right, lambda case: case.source)
    by_cause = _shares(cases, right, lambda case: case.gold[0])
    for shares in (by_source, by_cause):
        for name, (count, share) in sorted(shares.items(), key=lambda item: item[1][1]):
            print(f"  {name:26}{count:5}{share:8.1%}")
        print()
    found = [
        Target("right cause", sum(right) / len(right), ">=", RIGHT),
        Target("worst source", min(share for _, share in by_source.values()), ">=", OF_A_SOURCE),
        Target("mean over causes", sum(share for _, share in by_cause.values()) / len(by_cause), ">=", MEAN_OF_CAUSES),
    ]
    for name, least in (("code", CODES), ("enhanced", ENHANCED)):
        stated = [(getattr(case, name), said[name]) for case, said in zip(cases, judged, strict=True)]
        stated = [(wanted, got) for wanted, got in stated if wanted]
        found.append(Target(f"{name} right", sum(a == b for a, b in stated) / len(stated), ">=", least))
    return found


def _shares(cases: list[Case], right: list[bool], key: Callable[[Case], str]) -> dict[str, tuple[int, float]]:
    """How many cases have each key, and which share of them is right."""
    answers = defaultdict(list)
    for case, answer in zip(cases, right, strict=True):
        answers[key(case)].append(answer)
    return {name: (len(found), sum(found) / len(found)) for name, found in answers.items()}


def measure_speed(cases: list[Case]) -> list[Target]:
    """Texts that are all different, and a mix as a log has it, on one core."""
    pa.set_cpu_count(1)
    draw = random.Random(1)
    letters = "abcdefghijklmnoprstuvw"
    words = ["".join(draw.choices(letters, k=draw.randint(3, 9))) for _ in range(5000)]
    texts = [case.text for case in cases]
    failures = list(
        dict.fromkeys(" ".join((draw.choice(texts), draw.choice(words), draw.choice(words))) for _ in range(50_000))
    )
    few = failures[:2000]
    mix = [
        f"250 2.0.0 Ok: queued as {draw.getrandbits(40):X}" if draw.random() < SUCCESSES else draw.choice(few)
        for _ in range(1_000_000)
    ]
    return [
        Target("distinct failure texts a second", _speed(failures), ">=", TEXTS_A_SECOND),
        Target("replies a second, 90 % successes", _speed(mix), ">=", REPLIES_A_SECOND),
    ]


def _speed(texts: list[str]) -> float:
    """Texts a second of a core's own time, the best of three: other programs do not count."""
    column = pa.array(texts)
    took = []
    for _ in range(3):
        start = time.process_time()
        classify_texts(column)
        took.append(time.process_time() - start)
    return len(texts) / min(took)


def main() -> int:
    """Measure all, print, and judge."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--left-out", help="only these sources of learnt.jsonl, which train.py was run without")
    options = parser.parse_args()
    if options.left_out:
        return verdict(measure(of_sources(HERE / "learnt.jsonl", set(options.left_out.split(",")))))
    cases = of_corpora(shared(options.shared, "data", "corpora", "replies.jsonl"))
    servers = of_servers(shared(options.shared, "data", "mta", "truth.jsonl"))
    exam = {json.loads(line)["source"] for line in (HERE / "exam.jsonl").read_text(encoding="utf-8").splitlines()}
    print(f"exam.jsonl, {len(exam)} sources:\n")
    right = measure(of_sources(HERE / "exam.jsonl", exam))[0]
    print(f"right cause: {right.found:.1%}")
    print(f"\n{len(cases)} replies of the corpora, {len(servers)} of data/mta\n")
    return verdict([*measure(cases + servers), *measure_speed(cases)])


if __name__ == "__main__":
    sys.exit(main())
