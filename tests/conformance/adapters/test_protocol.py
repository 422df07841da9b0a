"""Lines: what is written, what is read, and what is said of everything that cannot be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
from cbtcheck.adapters.protocol import lines, observation, schema
from cbtcheck.adapters.protocol import messages as m
from cbtcheck.adapters.protocol.mistakes import ProtocolError
from cbtcheck.scenario.images import ImageRefusal
from cbtcheck.scenario.scenario import KINDS, command_from_data, command_in_full
from cbtmodel import commands as c
from cbtmodel.refusal import Kind
from hypothesis import given
from hypothesis import strategies as st

PAGE = Path(__file__).parents[3] / "docs/use" / "adapter-protocol.md"
BITMAP = {"node": "d", "name": "b", "granularity": 512, "recording": True, "busy": False, "dirty": [[0, 512]]}

NOT_DIRTY = {name: value for name, value in BITMAP.items() if name != "dirty"}


def said(**members: Any) -> bytes:
    return json.dumps({"seq": 7, **members}).encode()


def wrong(line: bytes, kind: type[m.Record] = m.Done) -> str:
    with pytest.raises(ProtocolError) as problem:
        lines.reply(line, 7, kind)
    assert "\n" not in str(problem.value)
    assert len(str(problem.value)) < 900
    return str(problem.value)


# What is written


def test_a_request_has_the_members_in_the_order_of_the_page() -> None:
    assert lines.command_line(3, c.Write("disk0", 0, 1), 2) == (
        b'{"seq":3,"do":"write","node":"disk0","offset":0,"length":1,"kind":"write","result":"ok","fill":2}\n'
    )
    assert lines.command_line(4, c.Transaction((c.Abort(), c.AddBitmap("d", "b", 512))), 2) == (
        b'{"seq":4,"do":"transaction","actions":[{"do":"abort"},'
        b'{"do":"add-bitmap","node":"d","name":"b","granularity":512,"enabled":true}],"grouped":false}\n'
    )
    assert lines.request_line(m.Reset(seq=2, block=512, disks=[m.Disk(name="d", size=512)])) == (
        b'{"seq":2,"do":"reset","block":512,"disks":[{"name":"d","size":512}]}\n'
    )
    assert lines.request_line(m.ObserveState(seq=5)) == b'{"seq":5,"do":"observe","what":"state"}\n'


def test_the_members_of_every_command_are_on_the_page() -> None:
    """In the same order, so that whoever reads from left to right can."""
    text = PAGE.read_text()
    for name, kind in KINDS.items():
        if name in ("abort", "restore", "transaction", "merge-bitmaps"):
            continue
        members = ",".join(f'"{each}"' for each in kind.__match_args__)  # type: ignore[attr-defined]
        fill = ',"fill"' if name in ("write", "begin-write") else ""
        assert f'{{"do":"{name}",{members}{fill}}}' in text, name


def test_the_quick_line_of_a_write_is_the_line_of_a_write() -> None:
    command = c.Write('d"\\é\n', 512, 1 << 62, "discard", "ignored")
    assert json.loads(lines.write_line(9, command, 3)) == {"seq": 9, **command_in_full(command, 3)}


def test_a_number_that_no_machine_has_is_sent_all_the_same() -> None:
    line = lines.command_line(1, c.Write("d", 1 << 80, 1), 2)
    assert json.loads(line)["offset"] == 1 << 80


# What is read


def test_what_is_right_is_read() -> None:
    assert lines.reply(b'{"seq":7}', 7, m.Done) is lines.DONE
    assert lines.reply(b' { "seq" : 7 } \r', 7, m.Done) == m.Done(seq=7)
    ended = lines.reply(said(ended=[{"job": "j", "outcome": "failed"}]), 7, m.Done)
    assert isinstance(ended, m.Done)
    assert ended.ended == [m.Ended(job="j", outcome="failed")]
    state = lines.reply(said(bitmaps=[BITMAP]), 7, m.SeenState)
    assert isinstance(state, m.SeenState)
    assert state.bitmaps[0].dirty == [(0, 512)]


def test_anything_may_be_answered_with_an_error() -> None:
    for kind in m.REPLIES.values():
        error = lines.reply(said(error="internal", definite=False), 7, kind)
        assert isinstance(error, m.Done)
        assert (error.error, error.definite) == ("internal", False)


def test_the_kinds_of_errors_are_the_specifications_and_two_more() -> None:
    assert set(get_args(m.ErrorKind)) == {*get_args(Kind), *get_args(ImageRefusal), "unsupported", "internal"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "an empty line"),
        (b"INFO started", "print logs to standard error"),
        (b'{"seq":7', "ends within a reply"),
        (b"{", "one line"),
        (b'{"seq":7}{"seq":8}', "more than one reply on a line"),
        (b'\xef\xbb\xbf{"seq":7}', "byte order mark"),
        ('{"seq":7}'.encode("utf-16"), "UTF-16"),
        (b'{"seq":7,"text":"\xff"}', "not UTF-8 (at byte 17)"),
        (b'{"seq":7}\0', "NUL"),
        (b"[7]", "no object"),
        (b'{"seq":7,"seq":7}', '"seq" twice'),
        (b'{"seq":7,"error":"busy","error":"exists"}', '"error" twice'),
        (rb'{"seq":7,"te\u0078t":"a:b","text":"c"}', '"text" twice'),
        (b'{"seq":7,"trace":[{"do":"x","do":"x"}]}', '"do" twice'),
        (b'{"seq":7,"ended":NaN}', "NaN, which is no JSON"),
        (b'{"seq":7,"ended":-Infinity}', "-Infinity, which is no JSON"),
        (b'{"seq":' + b"1" * 5000 + b"}", "a number of 5000 digits"),
        (b'{"seq":7,"ended":' + b"[" * 100_000, "nested too deeply"),
        (b"{}", "without seq, where 7 is expected"),
        (b'{"seq":"7"}', "a seq that is no integer"),
        (b'{"seq":7.0}', "a seq that is no integer"),
        (b'{"seq":true}', "a seq that is no integer"),
        (b'{"seq":6}', "or it answers twice"),
        (b'{"seq":3}', "an answer to an earlier request"),
        (b'{"seq":8}', "a request that was not sent"),
        (b'{"seq":7,"error":"EBUSY"}', "did you mean 'busy'?"),
        (b'{"seq":7,"error":"notfound"}', "did you mean 'not found'?"),
        (b'{"seq":7,"message":"no"}', "did you mean 'text'?"),
        (b'{"seq":7,"erorr":"busy"}', "did you mean 'error'?"),
        (b'{"seq":7,"definite":1}', "Expected 'bool'"),
        (b'{"seq":7,"ended":[{"job":"j","outcome":"ok"}]}', "outcome"),
        (b'{"seq":7,"ended":null}', "Expected 'array'"),
    ],
)
def test_what_is_wrong_is_said_with_its_likely_mistake(line: bytes, words: str) -> None:
    assert words in wrong(line)


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        (b'{"seq":7}', m.SeenState, "an empty list if there is nothing"),
        (b'{"seq":7}', m.SeenContent, "runs [byte, how many]"),
        (said(bitmaps=[{**BITMAP, "dirty": "all"}]), m.SeenState, "[offset, length] in bytes"),
        (said(bitmaps=[{**BITMAP, "dirty": [[0, 1, 2]]}]), m.SeenState, "[offset, length] in bytes"),
        (said(bitmaps=[{**BITMAP, "dirty": [[-1, 2]]}]), m.SeenState, ">= 0"),
        (said(bitmaps=[{**BITMAP, "dirty": [[1 << 63, 2]]}]), m.SeenState, "2^63 - 1"),
        (said(bitmaps=[{**BITMAP, "dirty": [["0", 2]]}]), m.SeenState, "not texts"),
        (said(bitmaps=[{**BITMAP, "dirty": [[0.5, 2]]}]), m.SeenState, "integers, in bytes"),
        (said(bitmaps=[{**NOT_DIRTY, "bits": []}]), m.SeenState, "did you mean 'dirty'?"),
        (said(bitmaps=[{"node": "d", "bitmap": "b"}]), m.SeenState, "did you mean 'name'?"),
        (said(bitmaps=[], jobs=[{"job": "j", "phase": "ready"}]), m.SeenState, "phase"),
        (said(content=[[256, 1]]), m.SeenContent, "<= 255"),
        (said(protocol=2), m.Hello, "another version of the protocol than 1: 2"),
        (said(protocol=1, name="x"), m.Hello, "version"),
    ],
)
def test_so_it_is_with_other_replies(line: bytes, kind: type[m.Record], words: str) -> None:
    assert words in wrong(line, kind)


def test_nothing_unprintable_is_repeated() -> None:
    assert wrong(b"\x1b[2J\x1b]0;owned\x07").isprintable()
    assert wrong("\N{RIGHT-TO-LEFT OVERRIDE}".encode() + b"x" * 1000).isprintable()


RAW = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["seq", "error", "text", "ended", "trace", "bitmaps", "dirty", "node", "job", "x"]), inner
        ),
        max_leaves=12,
    ).map(lambda data: json.dumps({"seq": 7, **data} if isinstance(data, dict) else data).encode()),
)  # fmt: skip


def come_of(line: bytes, kind: type[m.Record]) -> m.Record | ProtocolError:
    try:
        return lines.reply(line, 7, kind)
    except ProtocolError as problem:
        return problem


@given(RAW, st.sampled_from([*m.REPLIES.values()]))
def test_every_line_is_a_reply_or_a_problem(line: bytes, kind: type[m.Record]) -> None:
    read = come_of(line.replace(b"\n", b" "), kind)
    assert isinstance(read, kind | m.Done) or str(read).isprintable()


@given(st.lists(st.integers(0, 45), min_size=1, max_size=3), st.binary(min_size=1, max_size=3))
def test_a_reply_with_some_bytes_changed_is_a_reply_or_a_problem(places: list[int], bytes_: bytes) -> None:
    line = bytearray(b'{"seq":7,"error":"busy","text":"b0 \\u00e9: \xc3\xa9"}')
    for place, byte in zip(places, bytes_, strict=False):
        line[place] = byte
    read = come_of(bytes(line), m.Done)
    assert isinstance(read, m.Done) or str(read).isprintable()


NAMES = st.sampled_from(["seq", "error", "text", "definite"])
PAIRS = st.lists(st.tuples(NAMES, st.sampled_from(["7", '"busy"', '"a:b"', '"\\u003a"', "true"])), max_size=5)


@given(PAIRS)
def test_no_member_is_ever_read_twice(pairs: list[tuple[str, str]]) -> None:
    """However colons hide: what is accepted has every member once."""
    line = "{" + ",".join(f'"{name}":{value}' for name, value in [("seq", "7"), *pairs]) + "}"
    try:
        lines.reply(line.encode(), 7, m.Done)
    except ProtocolError:
        return
    names = ["seq", *(name for name, _ in pairs)]
    assert len(names) == len(set(names))


# What cannot be


def seen(*extents: tuple[int, int], granularity: int = 4096, size: int = 32768) -> int:
    return observation.granules(extents, granularity, size, "bitmap d/b")


def test_extents_are_granules() -> None:
    assert seen((0, 4096), (8192, 8192)) == 0b1101
    assert seen((8192, 8192), (0, 4096), (0, 8192), (4096, 0)) == 0b1111
    assert seen((20480, 1536), size=22016) == seen((20480, 4096), size=22016) == 1 << 5


@given(st.lists(st.tuples(st.integers(0, 199), st.integers(0, 50)), max_size=200))
def test_many_extents_are_the_same_as_few(runs: list[tuple[int, int]]) -> None:
    cut = [(first, min(count, 200 - first)) for first, count in runs]
    expected = 0
    for first, count in cut:
        expected |= ((1 << count) - 1) << first
    assert seen(*((f * 512, n * 512) for f, n in cut), granularity=512, size=102400) == expected


@pytest.mark.parametrize("extent", [(1, 4095), (0, 1), (0, 4097), (512, 4096)])
def test_parts_of_granules_are_no_granules(extent: tuple[int, int]) -> None:
    with pytest.raises(ProtocolError, match="not of whole granules"):
        seen(extent)


def test_beyond_the_end_there_is_nothing() -> None:
    with pytest.raises(ProtocolError, match="beyond the end of the disk"):
        seen((32768, 4096))
    with pytest.raises(ProtocolError, match="beyond the end of the disk"):
        seen((m.LARGEST, m.LARGEST))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"bitmaps": [BITMAP, BITMAP]}, "there twice"),
        ({"bitmaps": [{**BITMAP, "node": "e"}]}, "no such disk"),
        ({"bitmaps": [], "jobs": [{"job": "j", "phase": "running"}] * 2}, "there twice"),
        ({"bitmaps": [], "jobs": [{"job": "j", "phase": "running", "copied": [[1 << 62, 1]]}]}, "beyond the end"),
        ({"bitmaps": [], "writes": [{"node": "e", "write": "w"}]}, "no such disk"),
        ({"bitmaps": [], "successors": [{"node": "e", "granularity": 1, "recording": True, "dirty": []}]}, "no such"),
    ],
)  # fmt: skip
def test_an_observation_that_cannot_be(state: dict[str, Any], words: str) -> None:
    decoded = msgspec.convert({"seq": 1, **state}, type=m.SeenState)
    with pytest.raises(ProtocolError, match=words):
        observation.observation(decoded, {"d": 4096}, None)


def test_content_has_the_size_of_what_it_is_of() -> None:
    assert observation.content([(2, 1), (0, 3)], 4, "d") == b"\2\0\0\0"
    with pytest.raises(ProtocolError, match="a content of 5 bytes, where it is of 4"):
        observation.content([(2, 5)], 4, "d")
    with pytest.raises(ProtocolError, match="where it is of 4"):
        observation.content([(2, m.LARGEST)], 4, "d")


# Schemas


def test_the_published_schemas_are_those_of_the_types() -> None:
    """Run `python -m cbtcheck.adapters.protocol` if they are not."""
    made = {name: schema.to_bytes(each) for name, each in schema.schemas().items()}
    published = {each.name: each.read_bytes() for each in schema.FOLDER.glob("adapter-*.json")}
    assert published == made


def test_every_request_fits_the_schema() -> None:
    request = jsonschema.Draft202012Validator(schema.schemas()["adapter-1-request.json"])
    for name, each in EVERY.items():
        line = lines.command_line(1, each, 7)
        request.validate(json.loads(line))
        assert command_from_data({k: v for k, v in json.loads(line).items() if k not in ("seq", "fill")}, "") == each
        assert not request.is_valid({**json.loads(line), "more": 1}), name
    request.validate(json.loads(lines.request_line(m.EndBackup(seq=1, job="j", success=True, left=[(0, 1)]))))
    assert not request.is_valid({"seq": 1, "do": "read", "job": "j", "offset": 0})


EVERY: dict[str, Any] = {
    "add": c.AddBitmap("d", "b", 512), "remove": c.RemoveBitmap("d", "b"), "clear": c.ClearBitmap("d", "b"),
    "enable": c.EnableBitmap("d", "b"), "disable": c.DisableBitmap("d", "b"),
    "merge": c.MergeBitmaps("d", "b", (c.Source("d", "s"),)), "start": c.StartBackup("j", "d", "full"),
    "pause": c.PauseJob("j"), "resume": c.ResumeJob("j"), "cancel": c.CancelJob("j"), "finalize": c.FinalizeJob("j"),
    "transaction": c.Transaction((c.Abort(), c.StartBackup("j", "d", "bitmap", "b", "always")), True),
    "write": c.Write("d", 0, 1), "begin write": c.BeginWrite("d", "w", 0, 1), "end write": c.EndWrite("d", "w"),
    "copy": c.Copy("j", 0, 1), "begin copy": c.BeginCopy("j", 0, 1), "end copy": c.EndCopy("j"),
}  # fmt: skip


def test_every_command_has_been_tried() -> None:
    assert {type(each) for each in EVERY.values()} == {*KINDS.values()} - {KINDS["abort"], KINDS["restore"]}


def test_the_conversation_on_the_page_is_one() -> None:
    """Requests are as the suite writes them, and replies as it reads them."""
    text = re.sub(r"\n       +", "", PAGE.read_text())
    asked = [each.encode() for each in re.findall(r"^ +→ (\{.*\})$", text, re.MULTILINE)]
    answered = [each.encode() for each in re.findall(r"^ +← (\{.*\})$", text, re.MULTILINE)]
    assert len(asked) > len(answered) >= 6
    kinds = {"hello": m.Hello, "observe": m.SeenState}
    request = jsonschema.Draft202012Validator(schema.schemas()["adapter-1-request.json"])
    by_number = {json.loads(each)["seq"]: json.loads(each) for each in asked}
    for each in by_number.values():
        request.validate(each)
    for line in answered:
        seq = json.loads(line)["seq"]
        lines.reply(line, seq, kinds.get(by_number[seq]["do"], m.Done))


# What comes later


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'{"seq":7,"took":12}', m.Done),
        (b'{"seq":7,"ended":[{"job":"j","outcome":"completed","bytes":4096}]}', m.Done),
        (said(bitmaps=[{**BITMAP, "persistent": True}], nodes=[]), m.SeenState),
        (said(bitmaps=[], successors=[{"node": "d", "granularity": 512, "recording": True, "dirty": [], "of": "b"}]),
         m.SeenState),
        (said(content=[[0, 512]], checksum="00"), m.SeenContent),
    ],
)  # fmt: skip
def test_members_that_are_not_known_are_ignored(line: bytes, kind: type[m.Record]) -> None:
    assert isinstance(come_of(line, kind), kind)


@pytest.mark.parametrize(
    ("line", "kind", "meant"),
    [
        (said(trase=[]), m.Done, "trace"),
        (said(bitmaps=[], sucessors=[]), m.SeenState, "successors"),
        (said(bitmaps=[], jobs=[{"job": "j", "phase": "paused", "copyed": []}]), m.SeenState, "copied"),
    ],
)  # fmt: skip
def test_but_not_one_that_is_a_known_one_misspelt(line: bytes, kind: type[m.Record], meant: str) -> None:
    """It could be left out; ignored, it would take away a check without a word."""
    read = come_of(line, kind)
    assert isinstance(read, ProtocolError)
    assert f"did you mean '{meant}'?" in str(read)


def test_nor_is_a_member_twice_beside_one_that_is_not_known() -> None:
    assert isinstance(come_of(b'{"seq":7,"took":1,"error":"busy","error":"exists"}', m.Done), ProtocolError)
