"""What is said of a tool, of a schedule, and of one restore."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cbtcheck.judging.instants import Loss
from cbtcheck.scenario.verdict import EXIT_CODES


class Judgement(enum.Enum):
    """From best to worst."""

    SAFE = "safe"  # each restore gave back the disk of an instant of the backup that it claims to be of
    LOUD = "loud"  # the tool said that it failed; nothing that it claimed was wrong
    WASTEFUL = "wasteful"  # an increment copied far more than had changed
    STUCK = "stuck"  # the next backup fails until somebody cleans up, or the tool did not end
    UNSAFE = "unsafe"  # a restore gave back what the disk never was
    BROKEN = "broken"  # QEMU crashed, or the guest could not write: no judgement of the tool

    @property
    def severity(self) -> int:
        """0 for the best."""
        return list(Judgement).index(self)

    @property
    def exit_code(self) -> int:
        """What `cbtspec judge` exits with."""
        return {
            Judgement.WASTEFUL: EXIT_CODES["wasteful"], Judgement.STUCK: EXIT_CODES["stuck"],
            Judgement.UNSAFE: EXIT_CODES["commands"], Judgement.BROKEN: EXIT_CODES["broken"],
        }.get(self, EXIT_CODES["conformant"])  # fmt: skip


def worst(judgements: list[Judgement]) -> Judgement:
    """The worst of them; safe if there are none."""
    return max(judgements, key=lambda each: each.severity, default=Judgement.SAFE)


@dataclass(frozen=True)
class Reason:
    """Why a schedule has its verdict. `run`: the run of the tool that is at fault.

    `losses` are ranges that a restore gave back wrong; `window` is the point of the first write that they miss, and
    `between` the two messages around it.
    """

    judgement: Judgement
    text: str
    run: str = ""
    losses: tuple[Loss, ...] = ()
    window: str = ""
    between: tuple[str, str] = ("", "")
