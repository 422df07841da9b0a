"""What others must know of a command, beside what it does: one row for each.

Whoever treats commands alike (properties, proofs, the suite's counts and pictures) asks for a trait, or for a shape
(`commands.OnBitmap`, `commands.OnJob`, …), and spells no command of its own. So a new command is a class in
`commands`, a row here, and a case in `step`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cbtmodel import commands as c

Whose = Literal["operator", "guest", "environment"]
Reach = Literal["nothing", "a bitmap", "a job", "a group", "a disk", "everything"]
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Traits:
    """Whose a command is, and how far it reaches: all that it may change.

    A *group* is a job with all that end together with it, and the bitmaps that they have frozen; *a disk* includes
    its jobs with their groups. `names`: it adds or removes a bitmap. `starts`: it starts jobs; `ends`: it ends those
    that it is said of. `records`: it is a guest write, or half of one. `waives`: with it, an operator says that a
    bitmap need not have what it has; `switches`: that it is to record, or not.
    """

    whose: Whose
    reach: Reach
    names: bool = False
    starts: bool = False
    ends: bool = False
    records: bool = False
    waives: bool = False
    switches: bool = False


TRAITS: dict[type, Traits] = {
    c.AddBitmap: Traits("operator", "a bitmap", names=True, switches=True),
    c.RemoveBitmap: Traits("operator", "a bitmap", names=True, waives=True, switches=True),
    c.ClearBitmap: Traits("operator", "a bitmap", waives=True),
    c.EnableBitmap: Traits("operator", "a bitmap", switches=True),
    c.DisableBitmap: Traits("operator", "a bitmap", switches=True),
    c.MergeBitmaps: Traits("operator", "a bitmap"),
    c.StartBackup: Traits("operator", "a disk", starts=True),
    c.PauseJob: Traits("operator", "a job"),
    c.ResumeJob: Traits("operator", "a group"),
    c.CancelJob: Traits("operator", "a group", ends=True),
    c.FinalizeJob: Traits("operator", "a group", ends=True),
    c.Abort: Traits("operator", "nothing"),
    c.Transaction: Traits("operator", "everything", names=True, starts=True),
    c.Write: Traits("guest", "a disk", records=True),
    c.BeginWrite: Traits("guest", "a disk", records=True),
    c.EndWrite: Traits("guest", "a disk", records=True),
    c.Copy: Traits("environment", "a group"),
    c.BeginCopy: Traits("environment", "a job"),
    c.EndCopy: Traits("environment", "a group"),
}  # fmt: skip

if TRAITS.keys() != {*c.COMMANDS, *c.ACTIONS}:
    raise TypeError(f"a command without traits, or the other way round: {TRAITS.keys() ^ {*c.COMMANDS, *c.ACTIONS}}")

_OF_NOTHING = Traits("operator", "nothing")


def traits_of(command: object) -> Traits:
    """The traits of a command or action, or of its class. What is neither does nothing, and is refused for that."""
    return TRAITS.get(command if isinstance(command, type) else type(command), _OF_NOTHING)


def changed_bitmap(command: object) -> Place | None:
    """The bitmap (node, name) that a command names in order to change it, if that is what it does."""
    if traits_of(command).reach != "a bitmap":
        return None
    named = command.target if isinstance(command, c.MergeBitmaps) else command.name  # type: ignore[attr-defined]
    return command.node, named  # type: ignore[attr-defined]


def verb(kind: type) -> str:
    """What a command does to what it is said of, in a word: *pause* for `PauseJob`, *clear* for `ClearBitmap`."""
    return kind.__name__.removesuffix("s").removesuffix("Bitmap").removesuffix("Job").lower()
