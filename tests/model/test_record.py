"""A changed record is what `dataclasses.replace` makes of it."""

import dataclasses

import pytest
from cbtmodel.backup import Job
from cbtmodel.bitmap import Bitmap, unmarked
from cbtmodel.blocks import Frozensets
from cbtmodel.node import initial
from cbtmodel.record import replace

EMPTY: frozenset[int] = frozenset()
JOB = Job(
    "disk0", "b0", "never", 4096, ("j0",), True, "report", "ignore",
    todo=EMPTY, copying=EMPTY, scope=frozenset({1}), intact=EMPTY, good=EMPTY, phase="waiting",
)  # fmt: skip
BITMAP = Bitmap(512, True, unmarked(Frozensets()))
STATE = initial(Frozensets(), {"disk0": 1024})


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (JOB, {"todo": frozenset({3})}),
        (JOB, {"paused": True, "node": "disk1"}),
        (BITMAP, {"leaving": True}),
        (STATE, {}),
    ],
)
def test_it_is_as_dataclasses_make_it(record: object, changes: dict[str, object]) -> None:
    changed, expected = replace(record, **changes), dataclasses.replace(record, **changes)  # type: ignore[type-var]
    assert changed == expected
    assert hash(changed) == hash(expected)
    assert repr(changed) == repr(expected)
    assert type(changed) is type(record)
    assert changed is not record


def test_it_is_frozen_and_the_old_one_is_as_it_was() -> None:
    changed = replace(JOB, cluster=512)
    assert JOB.cluster == 4096
    with pytest.raises(dataclasses.FrozenInstanceError):
        changed.cluster = 1024  # type: ignore[misc]


def test_there_must_be_such_a_field() -> None:
    with pytest.raises(AttributeError, match="no field nothing"):
        replace(JOB, nothing=1)  # type: ignore[call-arg]
