"""Whatever `step` is given, it answers: what is malformed is refused as invalid, and nothing ever raises."""

import dataclasses
import math
from typing import Any

import cbtmodel
import pytest
from cbtmodel import Frozensets, initial
from cbtmodel import commands as c
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = (*c.Command.__args__, c.Abort, c.Source)


class Text(str):
    """A string that does not want to be compared."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


NOTHING = object()
DEEP: Any = ()
for _ in range(5000):
    DEEP = (DEEP,)
GARBAGE = [None, NOTHING, math.nan, math.inf, 1.0, True, -1, 10**40, "", "\ud800", b"d", [], {}, set(), (), ((),),
           DEEP, [[]], {"a": 1}, Text("write"), int, print, Ellipsis, c.Abort(), c.Write("d", 0, 1),
           c.Transaction((c.Abort(),))]  # fmt: skip

anything = st.sampled_from(GARBAGE) | st.integers() | st.text() | st.floats()


@settings(max_examples=400, deadline=None)
@given(kind=st.sampled_from(KINDS), data=st.data())
def test_a_command_full_of_garbage_is_answered(kind: type, data: st.DataObject) -> None:
    state = initial(Frozensets(), {"d": 32768})
    fields = [field.name for field in dataclasses.fields(kind)]
    plausible = {"node": "d", "name": "b", "job": "j", "write": "w", "offset": 0, "length": 1, "granularity": 512}
    values = {
        name: data.draw(anything | st.just(plausible[name]) if name in plausible else anything) for name in fields
    }
    result = cbtmodel.step(state, kind(**values))
    assert result.refusal is None or result.state is state


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda each: type(each).__name__)
def test_what_is_no_command_is_invalid(garbage: Any, story: Any) -> None:
    if not isinstance(garbage, c.Command):
        assert story.refused(garbage) == "invalid"


@pytest.mark.parametrize("value", [None, "0", 0.0, math.nan, True, False, -1, 1 << 63, 10**40, [], (0,), b"0"])
@pytest.mark.parametrize("field", ["offset", "length"])
def test_an_offset_or_a_length_is_a_whole_number_of_63_bits(field: str, value: Any, story: Any) -> None:
    good: dict[str, Any] = {"node": "d", "offset": 0, "length": 1}
    assert story.refused(c.Write(**good | {field: value})) == "invalid"
    assert story.refused(c.BeginWrite(write="w", **good | {field: value})) == "invalid"


@pytest.mark.parametrize("value", [None, 1, True, b"d", ["d"], ("d",), math.nan])
def test_a_name_is_text(value: Any, story: Any) -> None:
    for command in (c.ClearBitmap(value, "b"), c.ClearBitmap("d", value), c.PauseJob(value), c.EndWrite("d", value)):
        assert story.refused(command) == "invalid"


@pytest.mark.parametrize("value", [0, 1, None, "true", 1.0])
def test_a_flag_is_true_or_false(value: Any, story: Any) -> None:
    assert story.refused(c.AddBitmap("d", "b", 4096, value)) == "invalid"
    assert story.refused(c.StartBackup("j", "d", "full", auto_finalize=value)) == "invalid"
    assert story.refused(c.Transaction((), value)) == "invalid"


@pytest.mark.parametrize("word", ["", "FULL", "top", None, 0, True, Text("full")])
def test_a_word_is_one_of_those_that_there_are(word: Any, story: Any) -> None:
    assert story.refused(c.StartBackup("j", "d", word)) == "invalid"
    assert story.refused(c.Write("d", 0, 1, word)) == "invalid"
    assert story.refused(c.Write("d", 0, 1, "write", word)) == "invalid"


@pytest.mark.parametrize(
    "actions",
    [None, [], [c.Abort()], (None,), ((),), DEEP, (c.Transaction(()),), (c.Write("d", 0, 1),),
     (c.ClearBitmap("d", 1),),
     (c.MergeBitmaps("d", "b", (("d", "b"),)),), (c.MergeBitmaps("d", "b", [c.Source("d", "b")]),)],
)  # fmt: skip
def test_a_transaction_is_a_tuple_of_actions(actions: Any, story: Any) -> None:
    story.do(c.AddBitmap("d", "b", 4096))
    assert story.refused(c.Transaction(actions)) == "invalid"


def test_a_class_that_only_looks_like_a_command_is_none(story: Any) -> None:
    @dataclasses.dataclass(frozen=True)
    class Write:
        node: str = "d"
        offset: int = 0
        length: int = 1

    assert story.refused(Write()) == "invalid"
    assert story.refused(c.Write) == "invalid"
