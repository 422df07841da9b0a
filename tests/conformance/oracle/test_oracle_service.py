"""`cbtspec oracle` answers every line by one line, whatever is in it; and says what the library says."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from random import Random
from typing import IO, Any

import jsonschema
import msgspec
import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli import oracle as command
from cbtcheck.oracle import messages, replies
from cbtcheck.oracle.service import Service
from cbtcheck.scenario.scenario import command_to_data
from cbtcheck.search.draw import GUEST, JOB, OPERATOR, Hand, drawn
from cbtcheck.sets.bitsets import BitSets
from cbtmodel.node import initial
from cbtmodel.step import step
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import finished

MIB, TIB = 1 << 20, 1 << 40
DISKS = {"do": "disks", "disks": {"d": MIB}}
ADD = {"do": "add-bitmap", "node": "d", "name": "b", "granularity": 65536}


def write(offset: int, length: int = 512, **more: Any) -> dict[str, Any]:
    return {"do": "write", "node": "d", "offset": offset, "length": length, **more}


def seen(**what: Any) -> dict[str, Any]:
    return {"do": "observed", "bitmaps": [{"node": "d", "name": "b", **what}]}


def told(*lines: Any, service: Service | None = None) -> list[dict[str, Any]]:
    """The answers to these lines."""
    service = service or Service()
    return [json.loads(service.answer(json.dumps(each).encode())) for each in lines]


# What it says


def test_a_conversation() -> None:
    answers = told(
        DISKS, ADD, write(0), write(65536, 512, reply="indefinite"), write(0), {"do": "bounds"},
        seen(dirty=[[0, 65536]], recording=True), {"do": "bounds", "most": 0}, write(MIB),
        {"do": "start-backup", "job": "j", "node": "d", "sync": "full", "reply": "exists", "text": "no"},
        {"do": "cancel-job", "job": "j", "reply": "accepted", "ended": {"j": "completed"}},
    )  # fmt: skip
    bounds = {"node": "d", "name": "b", "granularity": 65536, "recording": True, "busy": False}
    must = {"granules": 1, "extents": [[0, 65536]], "whole": True}
    may = {"granules": 2, "extents": [[0, 131072]], "whole": True}
    cut = {"granules": 1, "extents": [], "whole": False}
    assert answers == [
        {"is": "begun", "line": 1, "disks": 1},
        {"is": "answer", "line": 2, "reply": "accepted"},
        {"is": "answer", "line": 3, "reply": "accepted"},
        {"is": "answer", "line": 4, "reply": "accepted", "histories": 2},
        {"is": "answer", "line": 5, "reply": "accepted", "histories": 2},
        {"is": "bounds", "line": 6, "bounds": [{**bounds, "must": must, "may": may}]},
        {"is": "verdict", "line": 7, "verdict": "exact"},
        {"is": "bounds", "line": 8, "bounds": [{**bounds, "must": cut, "may": cut}]},
        {"is": "answer", "line": 9, "reply": "invalid", "reason": "beyond the end of the disk"},
        {"is": "answer", "line": 10, "reply": "accepted", "findings": [
            {"verdict": "diverges", "property": "", "where": "StartBackup", "expected": "accepted",
             "seen": "refused: exists: no"}]},
        {"is": "answer", "line": 11, "reply": "accepted", "ended": {"j": "cancelled"}, "findings": [
            {"verdict": "unsafe", "property": "DELIVERED", "where": "jobs ended", "expected": "j cancelled",
             "seen": "j completed"}]},
    ]  # fmt: skip


RAW = base64.b64encode(b"\1\0").decode()
SEEN: list[tuple[dict[str, Any], str, str]] = [
    (seen(dirty=[[0, 65536]], count=1, recording=True, busy=False, granularity=65536), "exact", ""),
    (seen(raw=RAW), "exact", ""),
    (seen(dirty=[]), "unsafe", "NO-LOST-WRITE"),
    (seen(dirty=[[0, 131072]]), "wasteful", "EXACT"),
    (seen(count=0), "unsafe", "NO-LOST-WRITE"),
    (seen(absent=True), "unsafe", "ONE-HEIR"),
    (seen(recording=False), "unsafe", "NO-LOST-WRITE"),
    (seen(busy=True), "diverges", ""),
    ({"do": "observed", "jobs": [{"job": "j", "phase": "running"}]}, "diverges", ""),
    ({"do": "observed", "jobs": [{"job": "j", "absent": True}]}, "exact", ""),
    ({"do": "observed", "jobs": [{"job": "j", "phase": "paused", "copied": [[0, 512]]}]}, "diverges", ""),
    ({"do": "observed", "complete": True}, "unsafe", "ONE-HEIR"),
    ({**seen(), "complete": True, "jobs": [], "successors": [], "writes": []}, "exact", ""),
    ({**seen(), "writes": [{"node": "d", "write": "w"}]}, "diverges", ""),
    ({**seen(), "complete": True, "successors": [
        {"node": "d", "granularity": 65536, "recording": True, "dirty": [[0, 65536]]}]}, "diverges", "ONE-HEIR"),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "verdict", "broken"), SEEN)
def test_what_was_seen_is_judged(observed: dict[str, Any], verdict: str, broken: str) -> None:
    answer = told(DISKS, ADD, write(0), observed)[-1]
    assert answer["verdict"] == verdict, answer
    assert [each["property"] for each in answer.get("findings", [])] == ([broken] if verdict != "exact" else [])


WRONG: list[tuple[Any, str]] = [
    ({"do": "fly"}, "fly"),
    ({"node": "d"}, "do"),
    ([], "array"),
    (write(0, 512, speed=3), "speed"),
    (write("0"), "offset"),  # type: ignore[arg-type]
    (write(0, reply="maybe"), "reply"),
    (write(0, ended={"j": "exploded"}), "ended"),
    (DISKS, "already"),
    ({"do": "bounds", "bitmaps": [{"node": "d", "name": "x"}]}, "no bitmap"),
    ({"do": "bounds", "most": -1}, "most"),
    ({**ADD, "granularity": 512.5}, "granularity"),
    (seen(dirty=[[1, 65536]]), "granules"),
    (seen(dirty=[[0, 65536]], raw=RAW), "either"),
    (seen(dirty=[[0, 65536]], granularity=0), "granules"),
    (seen(raw="***"), "base64"),
    (seen(raw=base64.b64encode(bytes(100) + b"\1").decode()), "beyond"),
    (seen(absent=True, busy=True), "absent"),
    ({"do": "observed", "bitmaps": [seen()["bitmaps"][0]] * 2}, "twice"),
    ({"do": "observed", "jobs": [{"job": "j"}]}, "phase"),
    ({"do": "observed", "jobs": [{"job": "j", "absent": True, "phase": "paused"}]}, "absent"),
    ({"do": "observed", "jobs": [{"job": "j", "absent": True}] * 2}, "twice"),
    ({"do": "observed", "jobs": [{"job": "j", "phase": "paused", "copied": [[0, 1 << 62]]}]}, "beyond"),
    ({"do": "observed", "successors": []}, "together"),
    ({"do": "observed", "complete": True, "successors": [
        {"node": "e", "granularity": 512, "recording": True, "dirty": []}]}, "no disk"),
    ({"do": "transaction", "actions": [{"do": "write"}]}, "write"),
    ({"do": "transaction", "actions": [{"do": "transaction", "actions": []}]}, "transaction"),
    ({"do": "transaction", "actions": [{**ADD, "name": str(n)} for n in range(4096)]}, "bitmaps"),
    ({"do": "restore", "jobs": []}, "restore"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "what"), WRONG)
def test_a_line_that_cannot_be_used_is_an_error_and_changes_nothing(line: Any, what: str) -> None:
    service = Service()
    told(DISKS, ADD, write(0), service=service)
    assert service.exit_code == 0
    assert service.oracle is not None
    before = service.oracle.states
    (answer,) = told(line, service=service)
    assert answer["is"] == "error"
    assert answer["line"] == 4
    assert what in answer["error"]
    assert service.oracle.states == before
    assert service.exit_code == 64


@pytest.mark.parametrize("first", [ADD, {"do": "bounds"}, {"do": "observed"}, write(0)])
def test_disks_come_first(first: Any) -> None:
    (answer,) = told(first)
    assert "no disks yet" in answer["error"]


@pytest.mark.parametrize(
    "disks",
    [
        {}, {"d": 0}, {"d": 513}, {"d": "1"}, {"d": 1 << 62}, {str(n): MIB for n in range(1025)}, {"d" * 5000: MIB},
        [],
    ],
)  # fmt: skip
@pytest.mark.parametrize("block", [512, 1000, 0, 1 << 40])
def test_disks_that_cannot_be_are_an_error(disks: Any, block: int) -> None:
    answer, after = told({"do": "disks", "disks": disks, "block": block}, DISKS)
    assert answer["is"] == "error"
    assert after["is"] == "begun"


def test_there_are_4096_bitmaps_at_most() -> None:
    service = Service()
    told(DISKS, service=service)
    actions = [{**ADD, "name": str(n)} for n in range(4096)]
    assert told({"do": "transaction", "actions": actions}, service=service)[0]["is"] == "answer"
    assert "more than 4096 bitmaps" in told(ADD, service=service)[0]["error"]


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_it_replies_what_the_specification_replies(random: Random) -> None:
    capabilities = ReferenceAdapter.capabilities
    disks = random.choice(capabilities.disks)
    service, state = Service(), initial(BitSets(), disks)
    told({"do": "disks", "disks": disks}, service=service)
    for _ in range(random.randrange(30)):
        each = drawn(Hand(random.randrange, state, capabilities), random.choice((OPERATOR, GUEST, JOB)))
        expected = step(state, each)
        state = expected.state
        line = command_to_data(each)
        if random.randrange(2):
            line["reply"] = "accepted" if expected.refusal is None else expected.refusal.kind
            line["ended"] = {end.job_id: end.outcome for end in expected.ended}
        (answer,) = told(line, service=service)
        assert answer["reply"] == ("accepted" if expected.refusal is None else expected.refusal.kind)
        assert answer.get("ended", {}) == {end.job_id: end.outcome for end in expected.ended}
        assert "findings" not in answer
    assert service.exit_code == 0


# Whatever comes


def holds_up(service: Service, raw: bytes) -> None:
    """One line is answered by one line, as is published; an error has changed nothing."""
    before = service.oracle.states if service.oracle is not None else ()
    answer = service.answer(raw)
    assert b"\n" not in answer
    decoded = msgspec.json.decode(answer, type=replies.OUTPUT)
    assert decoded.line == service.lines
    if isinstance(decoded, replies.Wrong):
        assert decoded.error
        assert decoded.error.isprintable()
        assert len(decoded.error) < 600
        assert (service.oracle.states if service.oracle is not None else ()) == before


SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["d", "b", "j", "w"])
JUNK = st.recursive(SCALAR, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
RIGHT: list[Any] = [
    ADD, write(0), write(4096, 65536, reply="indefinite"), {"do": "bounds"}, *(each for each, _, _ in SEEN),
    {"do": "start-backup", "job": "j", "node": "d", "sync": "incremental", "bitmap": "b"},
    {"do": "begin-write", "node": "d", "write": "w", "offset": 0, "length": 512},
    {"do": "end-write", "node": "d", "write": "w"}, {"do": "copy", "job": "j", "offset": 0, "length": MIB},
    {"do": "transaction", "actions": [ADD, {"do": "abort"}], "grouped": True},
    {"do": "merge-bitmaps", "node": "d", "target": "b", "sources": [{"node": "d", "name": "b"}]},
]  # fmt: skip


@st.composite
def nearly_right(draw: st.DrawFn) -> bytes:
    """A line of which a member is missing, is one too many, or is something else; or some bytes are."""
    line = dict(draw(st.sampled_from(RIGHT)))
    for _ in range(draw(st.integers(0, 2))):
        member = draw(st.sampled_from([*line, "reply", "ended", "jobs", "x"]))
        if draw(st.booleans()):
            line.pop(member, None)
        else:
            line[member] = draw(JUNK)
    raw = bytearray(json.dumps(line).encode())
    for _ in range(draw(st.integers(0, 2))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw).replace(b"\n", b" ")


@settings(max_examples=150, deadline=None)
@given(st.lists(nearly_right() | st.binary().map(lambda raw: raw.replace(b"\n", b"")), max_size=12))
def test_it_survives_whatever_comes(lines: list[bytes]) -> None:
    service = Service()
    told(DISKS, ADD, write(0), service=service)
    for each in lines:
        holds_up(service, each)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\0", b"\xff\xfe", b"{", b"NaN", b'{"do":"write","node":"d","offset":NaN,"length":1}', b"[" * 100_000,
        b'{"a":' * 100_000, b'{"do":"write","node":"d","offset":1e999,"length":1}', b"1" * 100_000,
        b'{"do":"write","node":"d","offset":' + b"9" * 5000 + b',"length":1}', b'{"do":"bounds"}{"do":"bounds"}',
        b'{"do":"add-bitmap","node":"d","name":"\\ud800","granularity":512}', b'{"do":"b\\u0000\\n"}',
        b'{"do":"add-bitmap","node":"d","name":"' + b"x" * 100_000 + b'","granularity":512}',
    ],
)  # fmt: skip
def test_it_survives_the_known_horrors(raw: bytes) -> None:
    service = Service()
    told(DISKS, service=service)
    holds_up(service, raw)


# The schemas


@pytest.mark.parametrize("which", ["input", "output"])
def test_the_published_schema_is_that_of_the_messages(which: Any) -> None:
    """How to write them anew is said in `cbtcheck.oracle.messages`."""
    done = subprocess.run(
        [sys.executable, "-m", "cbtcheck.oracle.messages", which], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stdout == messages.published(which)


def test_lines_are_as_the_schemas_say() -> None:
    reads = jsonschema.Draft202012Validator(json.loads(messages.published("input")))
    writes = jsonschema.Draft202012Validator(json.loads(messages.published("output")))
    jsonschema.Draft202012Validator.check_schema(reads.schema)
    jsonschema.Draft202012Validator.check_schema(writes.schema)
    service = Service()
    for line in (DISKS, *RIGHT):
        reads.validate(line)
        writes.validate(told(line, service=service)[0])
    by_the_schema = [line for line, _ in WRONG if not reads.is_valid(line)]
    assert len(by_the_schema) >= 12
    for line in by_the_schema:
        (answer,) = told(line, service=service)
        assert answer["is"] == "error"
        writes.validate(answer)


# The process


class Process:
    """A running `cbtspec oracle`."""

    def __init__(self) -> None:
        code = "from cbtcheck.cli.command import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, "oracle"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def say(self, *lines: Any) -> list[Any]:
        """Sends lines at once, and waits for their answers, with stdin open."""
        stdin, stdout = _open(self._process.stdin), _open(self._process.stdout)
        stdin.write(b"".join(json.dumps(each).encode() + b"\n" for each in lines))
        stdin.flush()
        return [json.loads(stdout.readline()) for _ in lines]

    def stop_reading(self) -> None:
        _open(self._process.stdout).close()
        self._process.stdout = None

    def end(self, raw: bytes = b"") -> tuple[int, bytes, bytes]:
        out, err = finished(self._process, raw)
        return self._process.returncode, out, err


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    running = Process()
    yield running
    assert running.end(b'{"do":"bounds"}')[0] == 64, "a bad line was among them"


def test_it_answers_before_more_is_said(process: Process) -> None:
    assert process.say(DISKS)[0]["is"] == "begun"
    assert [each["line"] for each in process.say(ADD, write(0), write(0))] == [2, 3, 4]
    assert process.say({"do": "fly"})[0]["is"] == "error"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([DISKS, ADD, write(0), seen(dirty=[[0, 65536]])], 0),
        ([DISKS, ADD, write(0), seen(dirty=[[0, 131072]])], 1),
        ([DISKS, ADD, write(0), seen(dirty=[]), seen(dirty=[[0, 65536]])], 2),
        ([DISKS, ADD, {**ADD, "reply": "accepted"}], 2),
        ([DISKS, ADD, write(0), seen(dirty=[]), "nonsense"], 64),
        ([], 64),
    ],
)
def test_exit_codes(lines: list[Any], code: int) -> None:
    service = Service()
    told(*lines, service=service)
    assert service.exit_code == code


def test_the_process_exits_with_them() -> None:
    lines = [DISKS, ADD, write(0), seen(dirty=[])]
    code, out, err = Process().end(b"\n".join(json.dumps(each).encode() for each in lines))
    assert (code, err) == (2, b"")
    assert [json.loads(each)["line"] for each in out.splitlines()] == [1, 2, 3, 4]


def test_answers_that_nobody_reads_are_no_success() -> None:
    running = Process()
    running.say(DISKS)
    running.stop_reading()
    assert running.end(b'{"do":"bounds"}\n')[::2] == (64, b"")


def test_lines_arrive_in_portions_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LONGEST_LINE", 10)
    text = b"a\n\nbcd\n" + b"x" * 10 + b"\n" + b"y" * 11 + b"\n" + b"z" * 95 + b"\nend"
    lines = [b"a", b"", b"bcd", b"x" * 10, None, None, b"end"]
    for size in (1, 2, 3, 7, 200):
        monkeypatch.setattr(command, "AT_ONCE", size)
        assert [each for portion in piped(text) for each in portion] == lines
        assert [each for portion in piped(text + b"\n") for each in portion] == lines
        assert [each for portion in piped(b"a\n" + b"z" * 95) for each in portion] == [b"a", None]
    assert list(piped(b"")) == []


def piped(text: bytes) -> Iterator[list[bytes | None]]:
    reads, writes = os.pipe()
    os.write(writes, text)
    os.close(writes)
    try:
        yield from command.portions(reads)
    finally:
        os.close(reads)


def test_an_endless_line_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LONGEST_LINE", 1 << 16)
    monkeypatch.setattr(command, "AT_ONCE", 1 << 12)
    endless = open("/dev/zero", "rb")  # noqa: SIM115
    with endless:
        assert next(command.portions(endless.fileno())) == [None]


def test_a_line_with_a_byte_order_mark_is_refused_with_the_reason() -> None:
    service = Service()
    answer = json.loads(service.answer(b"\xef\xbb\xbf" + json.dumps(DISKS).encode()))
    assert answer["is"] == "error"
    assert "byte order mark" in str(answer)
    assert service.oracle is None


def test_a_line_in_which_no_string_is_twice_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def second_look(raw: bytes, **how: Any) -> None:
        raise AssertionError("a second look")

    service, line = Service(), json.dumps(write(0)).encode()
    service.answer(json.dumps(DISKS).encode())
    with monkeypatch.context() as patched:
        patched.setattr("cbtcheck.scenario.strict_json.json.loads", second_look)
        answer = service.answer(line)
    assert json.loads(answer)["reply"] == "accepted"


@pytest.mark.parametrize(
    "line",
    [
        b'{"do":"disks","do":"disks","disks":{"d":1048576}}',
        b'{"do":"disks","disks":{"d":1048576,"d":512}}',
        b'{"do":"disks","disks":{"d":1048576},"comment":{"a":1,"a":2}}',
        rb'{"do":"disks","disks":{"d":1048576,"\u0064":512}}',
        rb'{"do":"disks","disks":{"d":1048576,"d" : 512}}',
    ],
)
def test_a_line_with_a_member_twice_is_not_used(line: bytes) -> None:
    service = Service()
    answer = json.loads(service.answer(line))
    assert answer["is"] == "error"
    assert service.oracle is None
