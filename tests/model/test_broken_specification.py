"""Each property can fail: a mistake in the specification itself is reported under the right ID."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cbtmodel
import cbtmodel.backup
import cbtmodel.bitmap
import cbtmodel.node
import pytest
from cbtmodel.bitmap import Marks
from cbtmodel.commands import AddBitmap, ClearBitmap, Transaction, Write
from cbtmodel.properties import batch, violations
from cbtmodel.step import Step

right_marked = cbtmodel.bitmap.marked
right_freeze = cbtmodel.bitmap.freeze


def nothing_is_marked(space: Any, blocks: Any, granularity: int, size: int) -> Marks[Any]:
    return Marks(space.empty, blocks, blocks)


def everything_is_marked(space: Any, blocks: Any, granularity: int, size: int) -> Marks[Any]:
    return replace(right_marked(space, blocks, granularity, size), dirty=space.everything(size))


def the_frozen_parent_records(space: Any, bitmap: Any, blocks: Any, size: int) -> Any:
    if not bitmap.enabled:
        return bitmap
    return replace(bitmap, marks=bitmap.marks | right_marked(space, blocks, bitmap.granularity, size))


def nothing_is_saved_before_a_write(space: Any, job: Any, blocks: Any, size: int) -> Any:
    return cbtmodel.backup.content_changes(job, blocks)


def everything_is_saved_again(space: Any, job: Any, blocks: Any, size: int) -> Any:
    clusters = job.scope & space.round_out(blocks, job.cluster, size)
    return cbtmodel.backup.content_changes(replace(job, todo=job.todo - clusters, good=job.good - blocks), blocks)


def nothing_is_to_be_copied(space: Any, sync: str, bitmap: Any, cluster: int, size: int) -> Any:
    return space.empty


def the_successor_is_dropped(bitmap: Any) -> Any:
    return replace(bitmap, successor=None)


def the_successor_takes_over(bitmap: Any) -> Any:
    return replace(bitmap, marks=bitmap.successor.marks, successor=None)


def the_successor_stays(bitmap: Any) -> Any:
    return bitmap


def the_bitmap_is_cleared_at_the_start(space: Any, bitmap: Any) -> Any:
    return replace(right_freeze(space, bitmap), marks=cbtmodel.bitmap.unmarked(space))


def nothing_stands_in(space: Any, bitmap: Any) -> Any:
    return bitmap


MISTAKES = [
    ("cbtmodel.bitmap.marked", nothing_is_marked, "NO-LOST-WRITE"),
    ("cbtmodel.bitmap.marked", everything_is_marked, "EXACT"),
    ("cbtmodel.backup.before_write", nothing_is_saved_before_a_write, "POINT-IN-TIME"),
    ("cbtmodel.backup.before_write", everything_is_saved_again, "POINT-IN-TIME"),
    ("cbtmodel.backup.work_list", nothing_is_to_be_copied, "DELIVERED"),
    ("cbtmodel.backup.abdicate", the_successor_is_dropped, "DELIVERED"),
    ("cbtmodel.backup.reclaim", the_successor_is_dropped, "FAILURE-KEEPS"),
    ("cbtmodel.backup.reclaim", the_successor_takes_over, "FAILURE-KEEPS"),
    ("cbtmodel.bitmap.record", the_frozen_parent_records, "FROZEN-IS-STILL"),
    ("cbtmodel.backup.abdicate", the_successor_stays, "ONE-HEIR"),
    ("cbtmodel.bitmap.freeze", nothing_stands_in, "ONE-HEIR"),
]


def reported(walks: Callable[[], Iterator[Any]]) -> set[str]:
    """The IDs of all that is violated along the walks; one goes no further than where the specification trips."""
    found: set[str] = set()
    steps = walks()
    for scenario in walks.scenarios:  # type: ignore[attr-defined]
        steps = type(walks)([scenario])()  # type: ignore[call-arg]
        try:
            for before, command, result in steps:
                found |= {property_id for property_id, _ in violations(before, command, result)}
        except (AssertionError, KeyError, AttributeError):
            continue
    return found


@pytest.mark.parametrize(
    ("place", "mistake", "property_id"), MISTAKES, ids=[each.__name__ for _, each, _ in MISTAKES]
)
def test_a_mistake_in_the_specification_is_reported(
    place: str, mistake: Any, property_id: str, walks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, mistake)
    assert property_id in reported(walks)


def test_a_transaction_that_is_not_undone_is_reported(story: Any) -> None:
    story.do(AddBitmap("d", "b", 4096), Write("d", 0, 1))
    whole = Transaction((ClearBitmap("d", "b"), ClearBitmap("d", "nobody")))
    half = cbtmodel.step(story.state, whole.actions[0]).state
    refusal = cbtmodel.step(story.state, whole).refusal
    assert "ATOMIC" in {property_id for property_id, _ in violations(story.state, whole, Step(half, refusal))}


def test_a_bitmap_that_vanishes_is_reported(story: Any) -> None:
    story.do(AddBitmap("d", "b", 4096))
    gone = replace(
        story.state, nodes=story.state.nodes.put("d", replace(story.state.nodes["d"], bitmaps=cbtmodel.node.Table()))
    )
    assert violations(story.state, Write("d", 0, 1), Step(gone)) == [
        ("NO-LOST-WRITE", "d/b: is there still"),
        ("ONE-HEIR", "d: the same names"),
    ]


def test_writes_that_depend_on_their_order_are_reported(story: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def the_last_write_wins(space: Any, bitmap: Any, blocks: Any, size: int) -> Any:
        return replace(bitmap, marks=right_marked(space, blocks, bitmap.granularity, size))

    story.do(AddBitmap("d", "b", 4096))
    one, other = frozenset({0}), frozenset({40})
    assert all(claim.holds() for claim in batch(story.state, "d", one, other))
    monkeypatch.setattr("cbtmodel.bitmap.record", the_last_write_wins)
    assert not all(claim.holds() for claim in batch(story.state, "d", one, other))
