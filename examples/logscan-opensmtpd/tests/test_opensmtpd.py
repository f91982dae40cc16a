"""The plugin as it is installed: found by its entry point, with the events of its samples, form by form."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pytest

import logscan
from logscan import plugins
from logscan.alone import parse_alone
from logscan.parser import Block, Parser
from logscan.testing import check, samples
from logscan_opensmtpd.lines import read

SAMPLES = Path(__file__).parent.parent / "sample_logs"
FORMS = tomllib.loads(files("logscan_opensmtpd").joinpath("forms.toml").read_text("utf-8"))
ID = "d62fc892cdafa769"


@pytest.fixture
def parser() -> Parser:
    found, problems = plugins.load(plugins.PARSERS, Parser, "opensmtpd")
    assert problems == []
    return found["opensmtpd"]


def test_it_is_found_by_its_entry_point() -> None:
    assert plugins.packages(plugins.PARSERS)["opensmtpd"] == "logscan-opensmtpd"


@pytest.mark.parametrize("log", samples(SAMPLES), ids=lambda log: log.name)
def test_sample(log: Path, parser: Parser) -> None:
    check(log, parser)
    check(log)


@pytest.mark.parametrize("block_size", [512, 4096, 1 << 20])
def test_a_scan_finds_the_same_wherever_blocks_end(block_size: int) -> None:
    log = SAMPLES / "opensmtpd-6.8.log"
    columns = ["offset", "action", "code", "remote_ip", "client_ip", "queue_id", "size"]
    whole = logscan.scan(log, workers=1).sort_by("offset").select(columns).to_pylist()
    pieces = logscan.scan(log, workers=1, block_size=block_size).sort_by("offset").select(columns).to_pylist()
    assert len(whole) > 50
    assert pieces == whole


@pytest.mark.parametrize(("form", "line"), [(form["id"], line) for form in FORMS["form"] for line in form["lines"]])
def test_form(form: str, line: str) -> None:
    """A line has the form under which it stands, and no earlier one takes it."""
    [(found, rows, _)] = read(pa.array([line]))
    assert found is not None
    assert (found["id"], rows.tolist()) == (form, [0])


@pytest.mark.parametrize("line", FORMS["known"]["lines"])
def test_what_is_not_needed_is_known(line: str) -> None:
    assert [form for form, _, _ in read(pa.array([line]))] == [None]


def events(parser: Parser, *messages: str) -> list[dict[str, object]]:
    data = "".join(f"2026-11-24T01:18:46+00:00 mx1 smtpd[97]: {message}\n" for message in messages)
    found, tally = parse_alone(parser, [Block.of(data.encode())])
    assert tally.unread == 0
    return found.to_pylist()


def test_a_refusal_has_its_session_s_client(parser: Parser) -> None:
    [event] = events(
        parser,
        f"{ID} smtp connected address=[IPv6:2001:db8::1] host=<unknown>",
        "d62fc892cdafa76a smtp connected address=192.0.2.9 host=other.example",
        f'{ID} smtp failed-command command="rcpt TO:<c@d.example>" result="550 5.1.1 no such user"',
    )
    assert (event["remote_ip"], event["client_ip"], event["remote_host"]) == ("2001:db8::1", "2001:db8::1", None)
    assert (event["direction"], event["action"], event["stage"]) == ("inbound", "rejected", "rcpt")
    assert (event["code"], event["enhanced"], event["recipient"]) == (550, "5.1.1", "c@d.example")


def test_a_repeated_refusal_counts_each_time(parser: Parser) -> None:
    refusal = f'{ID} smtp failed-command command="DATA" result="552 5.3.4 too big"'
    found = events(parser, f"{ID} smtp connected address=192.0.2.1 host=x", f"message repeated 3 times: [ {refusal}]")
    assert [(event["code"], event["stage"], event["remote_ip"]) for event in found] == [(552, "data", "192.0.2.1")] * 3


def test_bad_input_is_of_no_stage(parser: Parser) -> None:
    [event] = events(parser, f'{ID} smtp bad-input result="500 5.0.0 Line too long"')
    assert (event["code"], event["stage"]) == (500, None)


def test_a_host_that_refuses_us_is_an_attempt(parser: Parser) -> None:
    [event] = events(
        parser,
        f"{ID} mta connecting address=smtp://203.0.113.7:25 host=mx.greet.example",
        f"{ID} mta error reason=BANNER rejected: 554 5.7.1 No service",
    )
    assert (event["direction"], event["action"], event["stage"]) == ("outbound", "attempt", "connect")
    assert (event["remote_ip"], event["remote_host"], event["client_ip"]) == ("203.0.113.7", "mx.greet.example", None)
    assert (event["code"], event["reply"]) == (554, "554 5.7.1 No service")


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        pytest.param(
            f'{ID} mta delivery evpid=a0d3356fb6116f26 from=<a@b.example> to=<c@d.example> rcpt=<-> source="-" '
            'relay="192.0.2.1 (mx.d.example)" delay=1m5s result="TempFail" stat="451-4.7.1 wait. Then come back"',
            {"action": "deferred", "code": 451, "enhanced": "4.7.1", "delay": 65.0, "queue_id": "a0d3356f"},
            id="a reply of two lines",
        ),
        pytest.param(
            f'{ID} mta delivery evpid=a0d3356fb6116f26 from=<> to=<"x> rcpt=<y"@d.example> rcpt=<-> source="-" '
            'relay="d.example" delay=0s result="PermFail" stat="550 no "user" result="Ok" stat="250 yes"',
            {
                "action": "bounced",
                "sender": "<>",
                "recipient": '"x> rcpt=<y"@d.example',
                "remote_ip": None,
                "code": 550,
            },
            id="a reply that imitates the line",
        ),
        pytest.param(
            f'{ID} smtp failed-command command="RCPT TO:<x" result="250 ok" result="550 no',
            None,
            id="cut in the middle",
        ),
        pytest.param(
            f'{ID} smtp failed-command command="X" result="250 ok" result="500 no"',
            {"action": "rejected", "code": 500, "stage": None, "remote_ip": None},
            id="a command that imitates the line",
        ),
        pytest.param(
            "relay: Remove for 068d906adcb3d92f: from=<a@b.example>, to=<c@d.example>, rcpt=<->, delay=2d, "
            "stat=Removed by administrator",
            {"action": "discarded", "delay": 172800.0, "code": None},
            id="removed by hand",
        ),
    ],
)
def test_line(parser: Parser, message: str, wanted: dict[str, object] | None) -> None:
    data = f"2026-11-24T01:18:46+00:00 mx1 smtpd[97]: {message}\n".encode()
    found, tally = parse_alone(parser, [Block.of(data)])
    if wanted is None:
        assert (len(found), tally.unread) == (0, 1)
        return
    [event] = found.to_pylist()
    assert {name: event.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-24T01:18:46+00:00 mx1 postfix/smtpd[97]: connect from unknown[192.0.2.1]",
        "2026-11-24T01:18:46+00:00 mx1 sshd[97]: relay: Ok for x",
    ],
)
def test_other_programs_lines_are_theirs(parser: Parser, line: str) -> None:
    block = Block.of(line.encode() + b"\n")
    assert parser.sniff(block) == 0.0
    parsed = parser.parse(block)
    assert (parsed.tally.other, parsed.tally.unread, len(parsed.events)) == (1, 0, 0)
