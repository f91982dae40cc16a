"""Trains the classifier's model from labelled replies, and writes it into the package.

    python benchmarks/train.py                        # the model that ships
    python benchmarks/train.py --without gmail,ovh    # without these sources, to measure on them

The replies: learnt.jsonl and learnt.toml beside this file, the known replies of the tests, the examples of the rules.
All are the project's own. The same replies give the same model. To be run after a change of rules or of the mask; a
test compares the mark of these with the one in the model.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import catalogue
from logscan.classifier import mask
from logscan.classifier.codes import codes
from logscan.classifier.model import FILE, Model, features, save

HERE = Path(__file__).parent
STEPS, RATE, DECAY = 200, 0.05, 2e-5
CODES = re.compile(r"^\d{3}[ -](?:#?\d\.\d+\.\d+ )?")
SEEN = 2
"""A feature must stand in so many texts."""


def labelled(without: set[str]) -> list[tuple[str, str]]:
    """Replies and their causes, but those of some sources."""
    rows = map(json.loads, (HERE / "learnt.jsonl").read_text(encoding="utf-8").splitlines())
    found = [(row["text"], row["gold"][0]) for row in rows if row["source"] not in without]
    for path in (HERE / "learnt.toml", HERE.parent / "tests" / "logscan" / "replies.toml"):
        known = tomllib.loads(path.read_text(encoding="utf-8"))
        found += [(text, cause) for cause, texts in known.items() for text in texts]
    found += [(case.reply, rule.cause) for rule in catalogue.rules() for case in rule.examples if case.reply]
    # Each again without its codes, so that the words learn to speak for themselves.
    bare = [(CODES.sub("", text), cause) for text, cause in found]
    known = set(found)
    return found + [case for case in bare if case[0] and case not in known]


def mark(cases: list[tuple[str, str]]) -> str:
    """A digest of what a model is trained from: the cases, and what the classifier makes of their texts."""
    texts = pa.array([text for text, _ in cases])
    code, enhanced = codes(texts)
    words, row = features(mask(texts), pc.fill_null(code, -1).to_numpy().astype(np.int64), enhanced)
    settled = (list(catalogue.causes()), [cause for _, cause in cases], STEPS, RATE, DECAY, SEEN)
    digest = hashlib.sha256(json.dumps([words.to_pylist(), settled]).encode())
    digest.update(row.astype("<i8").tobytes())
    return digest.hexdigest()


def train(cases: list[tuple[str, str]]) -> Model:
    """The model of softmax regression that fits the cases best."""
    causes = list(catalogue.causes())
    texts = pa.array([text for text, _ in cases])
    wanted = np.eye(len(causes), dtype=np.float32)[[causes.index(cause) for _, cause in cases]]
    code, enhanced = codes(texts)
    words, row = features(mask(texts), pc.fill_null(code, -1).to_numpy().astype(np.int64), enhanced)
    encoded = words.dictionary_encode()
    number = encoded.indices.to_numpy()
    pairs = np.unique(row * len(encoded.dictionary) + number)
    often = np.bincount(pairs % len(encoded.dictionary)) >= SEEN
    kept = np.flatnonzero(often)
    place = np.full(len(often), -1, np.int64)
    place[kept] = np.arange(len(kept))
    seen = np.zeros((len(cases), len(kept)), np.float32)
    known = place[number] >= 0
    np.add.at(seen, (row[known], place[number][known]), 1)
    seen /= np.sqrt(np.maximum(seen.sum(1, keepdims=True), 1))

    weights = np.zeros((len(kept), len(causes)), np.float32)
    bias = np.zeros(len(causes), np.float32)
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        wrong = softmax(seen @ weights + bias) - wanted
        slope = seen.T @ wrong / len(cases) + DECAY * weights
        bias -= 0.5 * wrong.mean(0)
        # Adam (Kingma and Ba, 2015).
        mean = 0.9 * mean + 0.1 * slope
        square = 0.99 * square + 0.01 * slope * slope
        weights -= RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    scale = float(np.abs(weights).max()) / 127
    whole = np.round(weights / scale).astype(np.int8)
    return Model(encoded.dictionary.take(pa.array(kept)), whole, bias, scale)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Scores of rows as shares of 1."""
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def main() -> None:
    """Train, and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", default="", help="sources of learnt.jsonl to leave out, with commas between")
    cases = labelled(set(parser.parse_args().without.split(",")))
    model = train(cases)
    path = HERE.parent / "logscan" / "classifier" / FILE
    save(model, str(path), mark(cases))
    print(f"{len(cases)} replies, {len(model.features)} features: {path} ({path.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
