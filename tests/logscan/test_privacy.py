"""Privacy as whoever holds the output and wants an address would try it: no local part may be left in any of it."""

from __future__ import annotations

import base64
import json
import re
import stat
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import logscan
from logscan.cli import app
from logscan.ingest import ingest
from logscan.parser import Tally
from logscan.plan import Options, UsageError
from logscan.privacy import HIDDEN, WITHHELD, Privacy, PrivacyError
from logscan.run import Problem, Run, SourceRead
from logscan.schema import EVENTS
from logscan.store import Store

SAMPLES = Path(__file__).parent.parent.parent / "sample_logs"
KEYED, DOMAIN = Privacy(b"a key of sixteen bytes or more"), Privacy(None)
WAYS = pytest.mark.parametrize("privacy", [KEYED, DOMAIN], ids=["keyed", "domain"])


def event(**columns: object) -> pa.Table:
    return pa.Table.from_pylist([{"direction": "outbound", "code": 550, **columns}], schema=EVENTS)


def reply(privacy: Privacy, text: str, **columns: object) -> str:
    made = privacy.events(event(reply=text, **columns))["reply"][0].as_py()
    assert isinstance(made, str)
    return made


# A local part that no domain and no word of a reply has by chance.
NAME = "zq7annsmith"


@WAYS
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"<{NAME}@b.example>: user unknown", id="in angle brackets"),
        pytest.param(f"{NAME.upper()}@B.EXAMPLE... no such user", id="another case"),
        pytest.param(f'"{NAME}"@b.example is full', id="quoted"),
        pytest.param(f'<"{NAME} x"@b.example> is full', id="quoted, with a blank"),
        pytest.param(f"'{NAME}@b.example'", id="in single quotes"),
        pytest.param(f"<@relay.example,@other.example:{NAME}@b.example>", id="source route"),
        pytest.param(f"to=<{NAME}%b.example@relay.example>", id="percent hack"),
        pytest.param(f"{NAME}+news@b.example, {NAME}-owner@b.example", id="subaddress"),
        pytest.param(f"bounces+{NAME}=b.example@list.example", id="VERP"),
        pytest.param(f"SRS0=HHH=TT=b.example={NAME}@fwd.example", id="SRS0"),
        pytest.param(f"SRS1=HHH=fwd.example==HHH=TT=b.example={NAME}@two.example", id="SRS1"),
        pytest.param(f"prvs=0123456789={NAME}@b.example", id="BATV"),
        pytest.param(f"{NAME}_b.example#EXT#@tenant.onmicrosoft.example", id="guest"),
        pytest.param(f"ORCPT=rfc822;{NAME}+40b.example", id="xtext"),
        pytest.param(f"=?utf-8?q?{NAME}=40b.example?=", id="quoted-printable"),
        pytest.param(f"https://b.example/unsubscribe?u={NAME}%40b.example&x=1", id="in a link"),
        pytest.param(f"https://b.example/u/{NAME}%40b.example/x", id="in a link's path"),
        pytest.param("https://b.example/u?" + base64.b64encode(NAME.encode()).decode(), id="base64 in a link"),
        pytest.param(f"{NAME}&#64;b.example", id="HTML"),
        pytest.param(f"{NAME}＠b.example", id="full-width at"),
        pytest.param(f"sasl_username={NAME}", id="login"),
        pytest.param(f"sasl_username={NAME}@b.example", id="login with a domain"),
        pytest.param(f"user: {NAME} over quota", id="user:"),
        pytest.param(f'mailbox "{NAME}" is full', id="mailbox in quotes"),
        pytest.param(f"account '{NAME} jr' disabled", id="account in single quotes"),
        pytest.param(f"<{NAME}>: need fully-qualified address", id="without a domain"),
        pytest.param(f"rejected EXPN {NAME}", id="EXPN"),
        pytest.param(f"rejected VRFY {NAME}%40b.example", id="VRFY"),
        pytest.param(f"{NAME}@[192.0.2.1] is not local", id="address literal"),
        pytest.param(f"{NAME}@b.example|/bin/x", id="no domain behind it"),
        pytest.param(f"x@{NAME}@b.example", id="two at signs"),
    ],
)
def test_an_address_of_anybody_is_found_in_a_reply(privacy: Privacy, text: str) -> None:
    made = reply(privacy, text)
    assert NAME not in made.casefold()
    assert base64.b64encode(NAME.encode()).decode() not in made


@WAYS
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("unknown user {name}", id="bare"),
        pytest.param("{name}: no such mailbox", id="at the start"),
        pytest.param("Mailbox {name}_b.example is full", id="guest's name"),
        pytest.param("no mailbox `{name}' here", id="in odd quotes"),
        pytest.param("{name}=b.example not found", id="VERP without its list"),
        pytest.param("/var/mail/{name}: permission denied", id="path"),
        pytest.param("DN=cn={name},ou=people", id="LDAP"),
        pytest.param("{url}", id="escaped as in a URL"),
        pytest.param("({xtext})", id="xtext"),
        pytest.param("{qp} is unknown", id="quoted-printable"),
        pytest.param("({upper})", id="another case"),
    ],
)
@pytest.mark.parametrize("local", ["ann", "ann.o'hara", "ann smith", "ไม่มี", "Zoë+x", '"ann;x"', "a/b!c", "0812345678"])
def test_the_rows_own_people_are_found_however_they_are_spelt(privacy: Privacy, text: str, local: str) -> None:
    bytes_ = local.encode()
    spelt = {
        "name": local,
        "url": quote(local, safe=""),
        "xtext": "".join(chr(b) if chr(b).isalnum() and b < 128 else f"+{b:02X}" for b in bytes_),
        "qp": "".join(chr(b) if chr(b).isalnum() and b < 128 else f"={b:02X}" for b in bytes_),
        "upper": local.upper(),
    }
    shown = text.format(**spelt)
    for column in ("sender", "recipient"):
        made = reply(privacy, shown, **{column: f"{local}@b.example"})
        assert not [word for word in spelt.values() if word.casefold() in made.casefold()], made


def test_words_that_name_nobody_stay() -> None:
    text = "550 5.7.1 Service unavailable; client host blocked using zen.spamhaus.org; see https://a.example/help"
    assert reply(DOMAIN, text, recipient="ann@b.example", sender="<>") == text
    assert reply(DOMAIN, "550 5.1.1 cannot find annual report", recipient="ann@b.example").endswith("annual report")
    columns = {"recipient": "info@info.example", "recipient_domain": "info.example"}
    assert (
        reply(DOMAIN, "mx.info.example said <info@info.example>", **columns) == "mx.info.example said <*@info.example>"
    )


def test_a_pseudonym_is_the_same_in_the_column_and_in_the_reply() -> None:
    made = KEYED.events(event(recipient="Ann@B.example", reply='<ann@b.example>, ANN, "ann"@b.example.')).to_pylist()[0]
    name, _, domain = made["recipient"].partition("@")
    assert domain == "b.example"
    assert made["reply"] == f"<{name}@{domain}>, {name}, {name}@{domain}."


def test_what_is_one_and_what_is_two() -> None:
    one = {KEYED.address(a) for a in ("ann@b.example", "Ann@B.EXAMPLE", '"ann"@b.example.', "<ann@b.example>")}
    assert len(one) == 1
    assert (
        len({KEYED.address(a) for a in ("ann@b.example", "ann@c.example", "ann+x@b.example", "ann", "an@b.example")})
        == 5
    )
    assert KEYED.address("ann@b.example") != Privacy(b"another key, as long as it").address("ann@b.example")
    assert KEYED.address("a@bücher.example").endswith("@xn--bcher-kva.example")
    assert KEYED.address("<>") == DOMAIN.address("<>") == "<>"
    assert KEYED.ip("2001:db8::1") == KEYED.ip("2001:0DB8:0::1") != KEYED.ip("2001:db8::2")


def test_clients_go_and_servers_stay() -> None:
    columns = {"remote_host": "pc7.pool.isp.example", "remote_ip": "198.51.100.7", "client_ip": "198.51.100.8"}
    text = "pc7.pool.isp.example[198.51.100.7] refused: 2001:db8::7 and 7.100.51.198.zen.example, 12:34:56"
    made = DOMAIN.events(event(direction="inbound", reply=text, **columns)).to_pylist()[0]
    assert (made["remote_host"], made["remote_ip"], made["client_ip"]) == ("*.isp.example", None, None)
    assert made["reply"] == "*.isp.example[*] refused: * and *.zen.example, 12:34:56"
    made = DOMAIN.events(event(reply="x", **columns)).to_pylist()[0]
    assert (made["remote_host"], made["remote_ip"], made["client_ip"]) == (*list(columns.values())[:2], None)
    assert DOMAIN.events(event(direction=None, **columns))["remote_ip"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("mail-ed1-f41.google.com", "*.google.com"),
        ("example.com", "example.com"),
        ("anns-laptop.local", "*"),
        ("anns-laptop.home.arpa", "*"),
        ("annlaptop", "*"),
        ("unknown", "unknown"),
        ("[192.0.2.1]", "*"),
        ("ann@b.example", "*"),
        ("ann smith.b.example", "*"),
    ],
)
def test_hosts_of_clients(name: str, shown: str) -> None:
    assert DOMAIN.host(name) == shown
    assert re.sub(r"p-[a-z2-7]{16}", HIDDEN, KEYED.host(name)) == shown


def test_ids_and_sources() -> None:
    columns = {"queue_id": "4XyzAB1", "message_id": "ann.2026@pc.example", "source": "/home/ann/mail.log"}
    text = "sender notified: 4XYZAB1, ann.2026@pc.example; queued as 9ABCDEF"
    made = DOMAIN.events(event(reply=text, **columns)).to_pylist()[0]
    assert (made["queue_id"], made["message_id"], made["source"]) == (None, None, "mail.log")
    assert made["reply"] == "sender notified: *, *@pc.example; queued as *"
    made = KEYED.events(event(reply=text, **columns)).to_pylist()[0]
    assert re.fullmatch(r"p-\w{16}/mail\.log", made["source"])
    assert "ann" not in json.dumps({k: v for k, v in made.items() if k in (*columns, "reply")})


def test_domain_columns_hold_domains_alone() -> None:
    made = DOMAIN.events(event(recipient="x@ann smith", recipient_domain="ann smith")).to_pylist()[0]
    assert (made["recipient"], made["recipient_domain"]) == ("*", None)


texts = st.text(st.characters(codec="utf-8"), max_size=12)
# Starts and ends with a letter, so that where it stands can be told; long enough to be nobody's accident.
locals_ = st.builds(
    "zq{}{}{}xw".format,
    st.text("abcdefgh", min_size=3, max_size=5),
    st.text("abc.+=-_%!#$&'*/?^`{|}~ \"\\@<>(),:;[]éไ่", max_size=8),
    st.text("abcdefgh", min_size=3, max_size=5),
)
around = st.lists(
    st.sampled_from(["<", ">", '"', "'", "(", ":", " ", ";", "=", "@", "://", "\n", "to=", "%40", "x"]), max_size=4
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    locals_, around.map("".join), around.map("".join), texts, st.sampled_from(["b.example", "[192.0.2.1]", "b x", ""])
)
@example("zqabcé<@>xw", '"', "@", "", "b.example")
def test_law_no_local_part_survives(local: str, before: str, after: str, other: str, domain: str) -> None:
    address = f"{local}@{domain}" if domain else local
    columns = {
        "sender": address,
        "recipient": f"bounce+{local}=b.example@list.example",
        "reply": f"{other}{before} {address} {after} {local} {before}{address}{after} {local.upper()}",
        "remote_host": f"{local}@b.example",
        "client_host": f"{local}.pool.isp.example",
        "client_ip": local,
        "message_id": f"{local}@pc.example",
        "queue_id": local,
        "source": f"/home/{local}/mail.log" if "/" not in local else "mail.log",
        "sender_domain": "b.example",
    }
    for privacy in (KEYED, DOMAIN):
        for direction in ("inbound", "outbound", None):
            made = privacy.events(event(**columns, direction=direction)).to_pylist()[0]
            left = {k: v for k, v in made.items() if isinstance(v, str) and local.casefold() in v.casefold()}
            assert not left


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries({"sender": texts | st.none(), "recipient": locals_, "reply": texts}), max_size=6))
def test_law_a_row_depends_on_itself_alone_and_again_changes_nothing(rows: list[dict[str, str | None]]) -> None:
    table = pa.Table.from_pylist(rows, schema=EVENTS)
    for privacy in (KEYED, DOMAIN):
        whole = privacy.events(table)
        assert whole.schema.equals(EVENTS, check_metadata=True)
        alone = [privacy.events(table.slice(i, 1)).to_pylist()[0] for i in range(len(rows))]
        assert whole.to_pylist() == alone
        again = privacy.events(whole)
        for name in ("sender", "recipient"):
            assert again[name].to_pylist() == whole[name].to_pylist()


@pytest.mark.parametrize("text", ["a", "<", '"', "a@", "1.", "a:", "%40", "=", "user=", "-1", "user "], ids=repr)
def test_hostile_replies_cost_linear_time(text: str) -> None:
    start = time.perf_counter()
    DOMAIN.text(text * (200_000 // len(text)))
    assert time.perf_counter() - start < 5


def test_lines_that_were_not_understood_are_withheld() -> None:
    tally = Tally(unread=1, samples=((7, "what is this: ann@b.example"),))
    run = Run((SourceRead("/home/ann/mail.log", "postfix", 1.0, 1, tally, 0),), (Problem("ann@b.example", "no"),))
    told = DOMAIN.account(run)
    assert told.sources[0].tally.samples == ((7, WITHHELD),)
    assert "ann" not in repr(told)


def test_counts_are_the_same_with_and_without() -> None:
    plain, keyed = logscan.scan(SAMPLES, tz="UTC"), KEYED.events(logscan.scan(SAMPLES, tz="UTC"))
    for name in ("time", "action", "code", "cause", "rule", "detail", "recipient_domain", "provider", "host"):
        assert plain[name].to_pylist() == keyed[name].to_pylist(), name
    for name in ("recipient", "sender", "queue_id", "client_ip"):
        assert len(set(plain[name].to_pylist())) == len(set(keyed[name].to_pylist())), name


def run(*arguments: str | Path) -> tuple[int, str]:
    ended = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if ended.exception and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended.exit_code, ended.stderr + ended.stdout


LINES = "".join(
    f"2026-11-23T12:00:{n:02}+00:00 mx postfix/smtp[1]: B{n:09}: to=<{NAME}{n}@a{n}.example>, "
    "relay=mx.a.example[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced "
    f"(host mx.a.example[192.0.2.1] said: 550 5.1.1 {NAME}{n} unknown)\n"
    for n in range(30)
)
ODD = f"2026-11-23T12:01:00+00:00 mx postfix/smtp[1]: what is this {NAME}1\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    path.write_text(LINES + ODD)
    return path


@pytest.mark.parametrize("way", ["keyed", "domain"])
def test_no_command_lets_one_through(log: Path, tmp_path: Path, way: str) -> None:
    private = ["--anonymize", way, *(["--key", str(tmp_path / "key")] if way == "keyed" else []), "--tz", "UTC"]
    out = tmp_path / "out"
    out.mkdir()
    said = []
    for arguments in (
        ["scan", log, "-o", out / "a.jsonl"],
        ["scan", log, "-o", out / "a.parquet"],
        ["scan", log, "-o", out / "store/"],
        ["scan", log],
        ["report", log, "-o", out / "page"],
        ["report", log, "-o", out / "page.html"],
        ["report", "--store", out / "store", "-o", out / "page.json"],
        *(["export", log, "-o", out / f"b{suffix}"] for suffix in (".csv", ".jsonl", ".parquet", ".duckdb", "")),
        ["export", log],
    ):
        code, text = run(*arguments, *private)
        assert code == 0, text
        said.append(text)
    run("scan", log, "-o", tmp_path / "plain/", "--tz", "UTC")
    said.append(run("export", "--store", tmp_path / "plain", "-o", out / "c.csv", *private)[1])
    said.append(run("report", "--store", tmp_path / "plain", "-o", out / "c.json", *private)[1])
    assert NAME not in "".join(said)
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if NAME.encode() in path.read_bytes()] == []
    import pyarrow.parquet as pq

    for path in out.rglob("*.parquet"):
        assert NAME not in str(pq.read_table(path, partitioning=None).to_pylist())
    if way == "keyed":
        made = [
            {tuple(row.items()) for row in pq.read_table(p, columns=["recipient", "reply"]).to_pylist()}
            for p in (out / "a.parquet", out / "b.parquet")
        ]
        assert made[0] == made[1] and len(made[0]) == 30


def test_the_same_for_any_number_of_workers(log: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    one, two = (
        logscan.scan(log, anonymize="keyed", key=key, workers=n, block_size=1000, tz="UTC").to_pylist() for n in (1, 2)
    )
    assert one == two
    assert NAME not in str(one)


def test_the_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = Privacy.of("keyed", path)
    assert Privacy.of("keyed", path) == made != Privacy.of("keyed", tmp_path / "another")
    assert made.key is not None and path.read_text().strip() not in repr(made.key)
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o640)
        with pytest.raises(PrivacyError, match="chmod 600"):
            Privacy.of("keyed", path)


def test_wrong_keys_and_ways(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.touch(0o600)
    short.write_text("secret\n")
    for options, said in (
        ({"anonymize": "keyed"}, "--key"),
        ({"anonymize": "keyed", "key": short}, "fewer than 16 bytes"),
        ({"anonymize": "domain", "key": short}, "goes with"),
        ({"anonymize": "all"}, "keyed or domain"),
        ({"key": short}, "goes with"),
    ):
        with pytest.raises(UsageError, match=said):
            logscan.scan(SAMPLES, **options)


def test_a_store_is_of_one_kind(log: Path, tmp_path: Path) -> None:
    keyed = ["--anonymize", "keyed", "--key", tmp_path / "key"]
    plain, private, bare = tmp_path / "plain", tmp_path / "private", tmp_path / "bare"
    assert run("scan", log, "-o", f"{plain}/")[0] == 0
    assert run("scan", log, "-o", f"{private}/", *keyed)[0] == 0
    assert run("scan", log, "-o", f"{bare}/", "--anonymize", "domain")[0] == 0
    assert run("scan", log, "-o", f"{private}/", *keyed)[0] == 0
    for store, options, said in (
        (plain, keyed, "as they are"),
        (private, [], "--anonymize keyed"),
        (private, ["--anonymize", "keyed", "--key", tmp_path / "other"], "another --key"),
        (private, ["--anonymize", "domain"], "--anonymize keyed"),
        (bare, [], "--anonymize domain"),
    ):
        code, text = run("scan", log, "-o", f"{store}/", *options)
        assert (code, said in text) == (2, True), text


@pytest.mark.parametrize("way", ["keyed", "domain"])
def test_a_log_is_forgotten_by_the_name_that_the_events_have(log: Path, tmp_path: Path, way: str) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    other = folder / "other.log"
    other.write_text(LINES.replace("2026-11-23", "2026-11-24").replace("status=bounced", "status=deferred"))
    store = tmp_path / "store"
    scan = ("scan", log, other, "-o", f"{store}/", "--tz", "UTC", "--anonymize", way)
    scan += ("--key", tmp_path / "key") if way == "keyed" else ()
    assert run(*scan)[0] == 0
    held = Store.open(store)
    names = sorted(set(held.dataset().to_table(columns=["source"])["source"].to_pylist()))
    assert [name.rpartition("/")[2] for name in names] in (["mail.log", "other.log"], ["other.log", "mail.log"])
    assert names == sorted(read.source for read in held.run().sources)
    assert [path for path in store.rglob("*") if path.is_file() and NAME.encode() in path.read_bytes()] == []
    code, told = run("store", "forget", store, other)
    assert code == 2
    assert all(name in told for name in names), "the names that it knows are told"
    [wrong] = [name for name in names if name.endswith("other.log")]
    assert run("store", "forget", store, wrong) == (0, "30 events taken out\n")
    assert (held.dataset().count_rows(), held.check()) == (30, [])
    assert {read.source for read in held.run().sources} == set(names) - {wrong}
    for _ in range(2):  # read again, and once only
        assert run(*scan)[0] == 0
        assert held.dataset().count_rows() == 60
    assert run("store", "forget", store, *names) == (0, "60 events taken out\n")
    assert held.days() == []


def test_what_others_scan_into_a_store_is_of_its_kind(log: Path, tmp_path: Path) -> None:
    """`logscan nightly` goes this way."""
    store = tmp_path / "store"
    assert run("scan", log, "-o", f"{store}/", "--anonymize", "domain")[0] == 0
    log.write_text(LINES + ODD + LINES.replace("2026-11-23", "2026-11-24"))
    with pytest.raises(PrivacyError, match="--anonymize domain"):
        ingest([str(log)], Store.open(store), Options(tz="UTC"))
    assert Store.open(store).dataset().count_rows() == 30


def test_messages_that_cannot_be_told_apart_are_not_counted(log: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.json"
    assert run("report", log, "-o", path, "--anonymize", "domain")[0] == 0
    summary = json.loads(path.read_text())["summary"]
    assert (summary["deliveries"], summary["messages"], summary["recipients"]) == (30, None, None)
