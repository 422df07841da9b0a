"""The judgement of one state of a file: which bitmaps it has, and whether any of them lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cbtwire.qcow2.bitmaps import Image, StoredBitmap, bits, read_image
from cbtwire.qcow2.guest import guest_data
from cbtwire.qcow2.reading import BadImage, Bytes

from cbtcheck.crash.owed import Expected, Owed, missing

LOST: Final = "lost write"
UNOPENABLE: Final = "cannot be opened"
STUCK: Final = "safe but stuck"
DIED: Final = "QEMU dies"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`verdict` is "" if all is well; `why` says what is not. `bitmaps` has each one's name and state, in order."""

    verdict: str
    why: str
    bitmaps: tuple[tuple[str, str], ...] = ()

    def shown(self) -> str:
        """The bitmaps in a few words."""
        return ", ".join(f"{name} {state}" for name, state in self.bitmaps) or "no bitmaps"


def judge(source: Bytes, expected: Expected, backing: bytes | None = None) -> Judgement:
    """Reads a state, and compares it with what is owed."""
    try:
        image = read_image(source)
    except BadImage as problem:
        return Judgement(UNOPENABLE, str(problem))
    states = tuple((each.name, "inconsistent" if each.in_use else "valid") for each in image.bitmaps)
    valid = [each for each in image.bitmaps if not each.in_use]
    if not valid:
        return Judgement("", "", states)
    try:
        disk = guest_data(source, image.header, backing)
    except BadImage as problem:
        return Judgement(UNOPENABLE, f"the guest's data cannot be read: {problem}", states)
    for each in valid:
        why = _lie(source, image, each, expected.get(each.name, ()), disk)
        if why:
            return Judgement(LOST, why, states)
    return Judgement("", "", states)


def _lie(source: Bytes, image: Image, bitmap: StoredBitmap, owed: tuple[Owed, ...], disk: bytearray) -> str:
    """What is wrong with a bitmap that says it is valid; "" if one of what may be owed is there."""
    word, reasons = bits(source, image.header, bitmap), []
    for each in owed:
        lacking = missing(each, disk, bitmap.granularity, word)
        if not lacking and each.enabled and not bitmap.auto:
            reasons.append(f"'{bitmap.name}' is valid and will not record: it was enabled, and is stored as disabled")
        elif not lacking:
            return ""
        else:
            some = ", ".join(map(str, lacking[:5])) + (", …" if len(lacking) > 5 else "")
            reasons.append(
                f"'{bitmap.name}' is valid and lacks {'granule' if len(lacking) == 1 else 'granules'} {some}, "
                "whose content has changed"
            )
    return reasons[-1] if reasons else f"'{bitmap.name}' is valid, and nobody has added it"
