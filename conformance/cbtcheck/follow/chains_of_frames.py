"""What the backups of a scenario give back, from the steps that were played."""

from __future__ import annotations

from collections.abc import Sequence

from cbtmodel.step import step

from cbtcheck.follow.chain_table import ChainTable, Tabled
from cbtcheck.follow.chains import ChainsFollowed
from cbtcheck.follow.play import Frame
from cbtcheck.follow.reasons import At
from cbtcheck.scenario.describe import describe
from cbtcheck.sets.bitsets import Bits, BitSets


def chains_of(frames: Sequence[Frame], block: int) -> ChainTable:
    """The table of the restore points. What is counted are the scenario's own steps, from 1."""
    followed: ChainsFollowed[Bits] = ChainsFollowed()
    for number, frame in enumerate(frames, 1):
        at = At(number, "command", describe(frame.asked))
        state = frame.before
        for command, _ in frame.trace:
            after = step(state, command)
            followed, state = followed.step(at, state, command, after), after.state
    if not frames:
        return ChainTable((), (), (), 0)
    return Tabled(BitSets(block), block, frames[-1].state, followed).table()
