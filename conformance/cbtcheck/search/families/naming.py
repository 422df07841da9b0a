"""Names: long ones, such as are not ASCII, and pairs that look alike; whoever takes one for another loses writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cbtmodel import commands as c
from cbtmodel.commands import Command

from cbtcheck.adapter import LONGEST_NAME
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families.claimed import claimed
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import DISK, Ground

UNITS = 8

PAIRS: dict[str, tuple[str, str]] = {
    "upper and lower case": ("Backup", "backup"),
    "upper and lower case that is not ASCII": ("Ärger", "ärger"),
    "sharp s": ("straße", "strasse"),
    "the dotless i": ("\u0131", "i"),
    "the Kelvin sign": ("\u212a", "K"),
    "composed and not": ("caf\u00e9", "cafe\u0301"),
    "compatible": ("\ufb01le", "file"),
    "wide digits": ("\uff11", "1"),
    "Latin and Cyrillic": ("a", "\u0430"),
    "a space after it": ("b", "b "),
    "a space before it": ("b", " b"),
    "a tab and a space": ("a\tb", "a b"),
    "a line's end after it": ("b", "b\n"),
    "a space that is not broken": ("a\u00a0b", "a b"),
    "nothing that is seen": ("b", "b\u200b"),
    "only spaces": (" ", "  "),
    "a prefix": ("nightly", "nightly-2"),
    "a suffix": ("2-nightly", "nightly"),
    "a prefix of one character": ("b", "b0"),
    "a path, and its parent": ("a/b", "a"),
    "a path, and its end": ("a/b", "b"),
    "a disk's own name": (DISK, f"{DISK}/b"),
    "a relative path": ("./b", "b"),
    "a slash after it": ("b/", "b"),
    "another slash": ("a/b", "a\\b"),
    "numbers": ("1", "01"),
    "a number and a sign": ("0", "-0"),
    "numbers that are equal": ("1", "1.0"),
    "a hash": ("#block1", "block1"),
    "words for nothing": ("null", "None"),
    "words for truth": ("true", "True"),
    "punctuation": ("b-0", "b_0"),
    "a point": ("b.0", "b0"),
    "a pattern": ("b*", "b0"),
    "a question mark": ("b?", "b0"),
    "a per cent sign": ("%41", "A"),
    "an escape": ("\\u0062", "b"),
    "quotes": ('"b"', "b"),
    "other quotes": ("'b'", "b"),
    "an ampersand": ("a&amp;b", "a&b"),
    "a comma": ("a,b", "a"),
    "a colon": ("a:b", "a"),
    "an equals sign": ("a=b", "a"),
    "beyond 16 bits": ("\U0001f4be", "\U0001f4bf"),
    "letters in another order": ("ab", "ba"),
    "31 bytes, and more": ("n" * 31, "n" * 32),
    "alike for 31 bytes": ("n" * 31 + "a", "n" * 31 + "b"),
    "alike for 63 bytes": ("n" * 63 + "a", "n" * 63 + "b"),
    "alike for 127 bytes": ("n" * 127 + "a", "n" * 127 + "b"),
    "254 and 255 bytes": ("n" * 254, "n" * 255),
    "255 and 256 bytes": ("n" * 255, "n" * 256),
    "256 and 257 bytes": ("n" * 256, "n" * 257),
    "alike for 255 bytes": ("n" * 255 + "a", "n" * 255 + "b"),
    "alike for 256 bytes": ("n" * 256 + "a", "n" * 256 + "b"),
    "alike for 511 bytes": ("n" * 511 + "a", "n" * 511 + "b"),
    "511 and 512 bytes": ("n" * 511, "n" * 512),
    "1,022 and 1,023 bytes": ("n" * 1022, "n" * 1023),
    "alike but for the last of 1,023 bytes": ("n" * 1022 + "a", "n" * 1022 + "b"),
    "alike but for the first of 1,023 bytes": ("a" + "n" * 1022, "b" + "n" * 1022),
    "1,023 bytes that are not ASCII": ("é" * 511 + "a", "é" * 511 + "b"),
    "255 bytes in the midst of a character": ("n" * 254 + "é", "n" * 254 + "è"),
}
"""Two names that are different, for everybody."""


def pairs_for(ground: Ground) -> dict[str, tuple[str, str]]:
    """These, and those at the length of the longest name that is claimed, if that is none of them."""
    longest = ground.capabilities.longest_name
    if longest == LONGEST_NAME:
        return PAIRS
    return PAIRS | {
        f"{longest - 1} and {longest} bytes": ("n" * (longest - 1), "n" * longest),
        f"alike but for the last of {longest} bytes": ("n" * (longest - 1) + "a", "n" * (longest - 1) + "b"),
    }


Happens = Callable[[Ground, str, str], tuple[Command, ...]]
"""To the first of two names, each of which has a bit of its own."""

HAPPENS: dict[str, Happens] = {
    "is cleared": lambda ground, one, other: (c.ClearBitmap(DISK, one),),
    "is removed": lambda ground, one, other: (c.RemoveBitmap(DISK, one), ground.write(4)),
    "is removed and added": lambda ground, one, other: (
        c.RemoveBitmap(DISK, one), ground.write(4), ground.add(one, enabled=False),
    ),
    "is disabled": lambda ground, one, other: (c.DisableBitmap(DISK, one), ground.write(4)),
    "is merged": lambda ground, one, other: (ground.add("sum"), ground.merge("sum", one)),
    "is merged into": lambda ground, one, other: (ground.merge(one, other), ground.write(4)),
    "is backed up": lambda ground, one, other: (
        ground.backup("j", one), ground.write(4), ground.copy_all("j", UNITS),
    ),
    "is cancelled": lambda ground, one, other: (
        ground.backup("j", one), ground.write(4), c.ClearBitmap(DISK, other), c.CancelJob("j"),
    ),
    "is put back": lambda ground, one, other: (
        c.Transaction((c.ClearBitmap(DISK, one), c.DisableBitmap(DISK, one), c.Abort())), ground.write(4),
    ),
    "is cleared in a transaction": lambda ground, one, other: (
        c.Transaction((c.ClearBitmap(DISK, one), c.DisableBitmap(DISK, other))), ground.write(4),
    ),
    "is not there": lambda ground, one, other: (
        c.RemoveBitmap(DISK, one), c.ClearBitmap(DISK, one), c.DisableBitmap(DISK, one), ground.write(4),
        ground.backup("j", one), ground.merge(other, one), c.RemoveBitmap(DISK, one),
    ),
    "is there already": lambda ground, one, other: (ground.add(one), ground.write(4)),
}  # fmt: skip


def what_may_happen(ground: Ground) -> list[str]:
    """What of it is claimed."""
    return claimed(ground, [*HAPPENS], lambda each: HAPPENS[each](ground, "a", "b"))


def naming(ground: Ground) -> Iterator[Scenario]:
    """Every two of: a pair of names, which of them it happens to, what happens, and which one is older."""
    known = pairs_for(ground)
    pairs, sides = list(known), (0, 1)
    happens = what_may_happen(ground)
    happens = happens if ground.thorough or len(happens) < len(HAPPENS) else happens[::2]
    if not happens:
        return
    tidied = "clear-bitmap" in ground.capabilities.commands
    for pair, what, side, older in rows(pairs, happens, sides, sides):
        names = known[pairs[pair]]
        one, other = names[side], names[1 - side]
        commands: list[Command] = []
        for number in (older, 1 - older):
            commands += [ground.add(names[number]), ground.write(number + 1)]
        # The newer one first: whoever finds the other instead shows here.
        for number in (1 - older, older) if tidied else ():
            commands += [c.ClearBitmap(DISK, names[number]), ground.write(number + 1)]
        commands += [*HAPPENS[happens[what]](ground, one, other), ground.write(6)]
        commands += [ground.backup("last", other, "incremental")]
        title = f"{pairs[pair]}: the {'second' if side else 'first'} {happens[what]}"
        yield Scenario(ground.disks(UNITS), tuple(commands), title=title)
    if ground.capabilities.max_disks > 1:
        yield from _namesakes(ground)


def _namesakes(ground: Ground) -> Iterator[Scenario]:
    """The same name on two disks: long, not ASCII, or the other disk's."""
    for name in ("b", "disk1", "n" * 256, "n" * 1023, "é" * 511):
        for what in what_may_happen(ground):
            happens = HAPPENS[what]
            commands: list[Command] = [ground.add(name), ground.write(1), ground.add("other")]
            commands.append(ground.add(name, "disk1"))
            commands += [ground.write(2, "disk1"), *happens(ground, name, "other"), ground.write(6, "disk1")]
            commands += [ground.backup("last", name, "incremental", node="disk1")]
            yield Scenario(ground.disks(UNITS, 2), tuple(commands), title=f"{name[:8]} on two disks: one {what}")


SUBJECT = frozenset({
    "add-bitmap", "remove-bitmap", "clear-bitmap", "disable-bitmap", "merge-bitmaps", "start-backup", "transaction",
})  # fmt: skip

NAMES = Family(
    "names", "long names, names that are not ASCII, look-alikes, and the same name on two disks", naming, SUBJECT
)
