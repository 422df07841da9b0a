"""What the backups of a scenario give back, from the steps that were played."""

from __future__ import annotations

from collections.abc import Sequence

from cbtcheck.follow.chain_events import chained
from cbtcheck.follow.chain_table import ChainTable, Tabled
from cbtcheck.follow.chains import ChainsFollowed
from cbtcheck.follow.play import Frame
from cbtcheck.follow.reasons import At
from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.images import as_it_came, happens
from cbtcheck.sets.bitsets import Bits, BitSets


def chains_of(frames: Sequence[Frame], block: int) -> ChainTable:
    """The table of the restore points. What is counted are the scenario's own steps, from 1."""
    followed: ChainsFollowed[Bits] = ChainsFollowed()
    for number, frame in enumerate(frames, 1):
        at = At(number, "command", describe(frame.asked))
        state, files = frame.before, frame.files
        for command, reply in frame.trace:
            command = as_it_came(command, reply.refusal)
            done, now = happens(files, state, command)
            followed = chained(followed, at, state, files, command, done, now)
            state, files = done.state, now
    if not frames:
        return ChainTable((), (), (), 0)
    images = frames[-1].files.images if frames[-1].files is not None else {}
    sizes = {node: image.size for node, image in images.items()}
    return Tabled(BitSets(block), block, frames[-1].state, followed, sizes).table()
