"""All histories with images, and the scenarios that they become."""

from __future__ import annotations

from cbtmodel.image import Close, Open
from cbtmodel.node import State, initial

from cbtcheck.scenario.images import Files, Played, fresh, step_with
from cbtcheck.scenario.scenario import Restore, Scenario
from cbtcheck.search.tour.to_the_end import on_to_the_end
from cbtcheck.sets.bitsets import Bits, BitSets
from cbtcheck.vectors.format import Bitmap, Vector
from cbtcheck.vectors.restarts.crashing import CRASHES, INCONSISTENT_ONES
from cbtcheck.vectors.restarts.reading import READING, REOPENING
from cbtcheck.vectors.restarts.storing import STORING
from cbtcheck.vectors.restarts.telling import Comes, ImageHistory
from cbtcheck.vectors.restarts.working import BACKUPS, TRANSACTIONS

IMAGE_HISTORIES: tuple[ImageHistory, ...] = (
    *STORING, *CRASHES, *INCONSISTENT_ONES, *READING, *REOPENING, *BACKUPS, *TRANSACTIONS,
)  # fmt: skip


def scenario_of(history: ImageHistory) -> Scenario:
    """A history as a scenario. At its end everything ends well, and then is closed and opened for writing."""
    state: State[Bits] = initial(BitSets(), dict(history.disks))
    files: Files[Bits] = fresh(dict(history.disks))
    steps: list[Played] = []

    def take(step: Played) -> None:
        nonlocal state, files
        result, files = step_with(files, state, step)
        state = result.state
        steps.append(step)

    for each in history.steps:
        take(each)
    for command in on_to_the_end(state):
        take(command)
    for name in history.disks:
        if name in files.opened:
            take(Close(name))
        take(Open(name))
    restores = map(Restore, history.restores)
    return Scenario(dict(history.disks), (*steps, *restores), title=history.title, images=True)


def check(history: ImageHistory, vector: Vector) -> None:
    """`AssertionError` if what the specification says of a history is not what that says of itself."""
    refused = {number: step.refused[0] for number, step in enumerate(vector.steps, 1) if step.refused}
    assert refused == history.refused, f"{history.name}: refused are {refused}"
    comes = {_named(each): _comes(each) for each in vector.steps[-1].after.bitmaps}
    assert comes == history.comes, f"{history.name} leaves {comes}"


def _named(bitmap: Bitmap) -> str:
    return bitmap.name if bitmap.node == "d" else f"{bitmap.node}/{bitmap.name}"


def _comes(bitmap: Bitmap) -> Comes:
    assert bitmap.must == bitmap.may
    if bitmap.inconsistent:
        return Comes(None, bitmap.recording)
    unit = bitmap.granularity
    runs = (range(offset // unit, -(-(offset + length) // unit)) for offset, length in bitmap.must)
    return Comes(tuple(number for run in runs for number in run), bitmap.recording)
