"""What is fuzzed: everything of the suite that reads bytes from outside, each with a few seeds."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import msgspec
from cbtcheck.adapters.exec import capabilities_of
from cbtcheck.adapters.protocol import lines, messages, observation
from cbtcheck.adapters.protocol.mistakes import ProtocolError, plain
from cbtcheck.oracle.service import Service
from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.scenario import ScenarioError, from_bytes, from_data, to_data
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.printed import to_json
from cbtcheck.trace.verify import Options, verify

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Target:
    """`read` takes bytes, and raises nothing. `seeds` are right inputs, to begin with."""

    read: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]


def one_line(problem: Exception) -> None:
    """A complaint is one line, and not endless."""
    text = str(problem)
    assert text.isprintable(), ascii(text)
    assert len(text) < 2000, len(text)


def scenario(raw: bytes) -> None:
    """A scenario file; what is read is written, and read again, the same."""
    try:
        found = from_bytes(raw)
    except ScenarioError as problem:
        one_line(problem)
        return
    for each in found.commands:
        one_line(ValueError(describe(each)))
    assert from_data(msgspec.json.decode(msgspec.json.encode(to_data(found)))) == found


def workflows() -> Iterable[bytes]:
    """The scenarios that come with the suite."""
    return [each.read_bytes() for each in files("cbtcheck").joinpath("workflows").iterdir() if each.name[0].isdigit()]


SEQ = 5
SIZES = {"disk0": 32768}


def protocol(raw: bytes) -> None:
    """A line of an adapter, taken for each kind of reply to request 5; and what an observation says."""
    for kind in messages.REPLIES.values():
        try:
            said = lines.reply(raw, SEQ, kind)
            if isinstance(said, messages.SeenState):
                observation.observation(said, SIZES, None)
            elif isinstance(said, messages.SeenContent):
                observation.content(said.content, 32768, "disk0")
            elif isinstance(said, messages.Hello):
                capabilities_of(said)
            elif isinstance(said, messages.Done) and isinstance(said.trace, list):
                for each in said.trace:
                    lines.command_in(each)
        except ProtocolError as problem:
            one_line(problem)
        except LookupError as problem:  # of a hello; whoever shows it makes it printable
            one_line(ValueError(plain(str(problem))))


REPLIES = (
    b'{"seq":5}',
    b'{"seq":5,"ended":[{"job":"j0","outcome":"completed"}]}',
    b'{"seq":5,"error":"internal","definite":false,"text":"b0"}',
    b'{"seq":5,"trace":[{"do":"end-copy","job":"j0","result":"ok"},'
    b'{"do":"write","node":"disk0","offset":0,"length":1,"kind":"write","result":"ok","fill":2,"error":"busy"}]}',
    b'{"seq":5,"protocol":1,"name":"tracker","version":"1.0","language":"C","capabilities":["core"],"copies":"suite",'
    b'"granularities":[4096,512],"clusters":[4096],"batch":true,"tails":false,"max_jobs":2}',
    b'{"seq":5,"bitmaps":[{"node":"disk0","name":"b0","granularity":4096,"recording":true,"busy":false,'
    b'"dirty":[[0,4096],[8192,8192]]}],"jobs":[{"job":"j0","phase":"running","copied":[[0,4096]]}],'
    b'"writes":[{"node":"disk0","write":"w0"}],'
    b'"successors":[{"node":"disk0","granularity":4096,"recording":true,"dirty":[[4096,4096]]}]}',
    b'{"seq":5,"content":[[2,1],[0,32767]]}',
)  # fmt: skip


def oracle(raw: bytes) -> None:
    """Lines for `cbtspec oracle`: each has one answer, of one line of JSON."""
    service = Service()
    for number, line in enumerate(raw.split(b"\n"), 1):
        answer = service.answer(line)
        assert b"\n" not in answer
        assert json.loads(answer)["line"] == number


CONVERSATION = b"""\
{"do":"disks","disks":{"disk0":65536,"disk1":65536},"block":512}
{"do":"add-bitmap","node":"disk0","name":"b0","granularity":4096}
{"do":"write","node":"disk0","offset":8192,"length":4096}
{"do":"start-backup","job":"j0","node":"disk0","sync":"incremental","bitmap":"b0","cluster":4096}
{"do":"write","node":"disk0","offset":0,"length":1,"reply":"indefinite"}
{"do":"bounds"}
{"do":"copy","job":"j0","offset":0,"length":65536,"ended":[{"job":"j0","outcome":"completed"}]}
{"do":"observed","bitmaps":[{"node":"disk0","name":"b0","dirty":[[0,4096]]}]}
{"do":"add-bitmap","node":"disk0","name":"b0","granularity":4096,"reply":"exists"}"""


def trace(raw: bytes) -> None:
    """A recorded history, of either format."""
    ways = [Options(), Options("qmp", disks={"disk0": 65536, "drive0": 65536})]
    ways.append(Options(guest="unknown" if raw.startswith(b'{"format"') else "recorded"))
    for options in ways:
        try:
            report = verify(io.BytesIO(raw), options)
        except TraceProblem as problem:
            one_line(problem)
        else:
            to_json(report)


def recorded() -> Iterable[bytes]:
    """The traces of the tests, if they are short."""
    found = [each.read_bytes() for each in sorted((ROOT / "conformance/trace/traces").iterdir()) if each.is_file()]
    return [each for each in found if len(each) < 20_000]


def logs() -> Iterable[bytes]:
    """Logs as people have them, if they are short."""
    found = [each.read_bytes() for each in sorted((ROOT / "conformance/trace/inputs").iterdir())]
    return [each for each in found if len(each) < 20_000]


TARGETS = {
    "scenario": Target(scenario, workflows),
    "protocol": Target(protocol, lambda: REPLIES),
    "oracle": Target(oracle, lambda: [CONVERSATION]),
    "trace": Target(trace, recorded),
    "log": Target(trace, logs),
}
