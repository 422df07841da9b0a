"""Streams of QMP are cut into messages, and put together they are the same bytes."""

import json
from typing import Any

from cbtcheck.judging import splitter
from cbtcheck.judging.splitter import Piece, Splitter
from hypothesis import given
from hypothesis import strategies as st

IDS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)  # fmt: skip
MESSAGES = st.builds(
    lambda it, message_id: {"execute": it, "id": message_id, "arguments": {"x": '"}{\\'}}, st.text(max_size=8), IDS
)


def cut(data: bytes, places: list[int]) -> list[Piece]:
    it, found, begin = Splitter(), [], 0
    for end in [*sorted(each % (len(data) + 1) for each in places), len(data)]:
        found += it.take(data[begin:end])
        begin = end
    return [*found, Piece(it.rest())]


BETWEEN = st.sampled_from([b"", b"\n", b"\r\n", b"  ", b"\xff\x00"])


@given(st.lists(MESSAGES, max_size=4), BETWEEN, st.lists(st.integers(0)))
def test_messages_are_found_and_no_byte_is_lost(messages: list[Any], between: bytes, at: list[int]) -> None:
    data = b"".join(json.dumps(each).encode() + between for each in messages)
    pieces = cut(data, at)
    assert b"".join(each.raw for each in pieces) == data
    assert [each.message for each in pieces if each.message is not None] == messages


@given(st.binary(max_size=200), st.lists(st.integers(0)))
def test_what_is_no_json_is_passed_on(data: bytes, at: list[int]) -> None:
    assert b"".join(each.raw for each in cut(data, at)) == data


def test_a_message_without_end_is_passed_on_unread() -> None:
    data = b'{"execute": "' + b"x" * (splitter.LONGEST + 10)
    pieces = cut(data, [1 << 16, splitter.LONGEST + 20])
    assert b"".join(each.raw for each in pieces) == data
    assert not [each for each in pieces if each.message is not None]
