"""What the specification's `round_out` is, proved of the arithmetic; and that the implementation computes the same.

The generic block and the universal disk know of `round_out` only that it is a closure: it contains its argument, is
monotone, idempotent, distributes over union, keeps to the disk, and makes nothing of nothing. Here these axioms are
theorems about the very `Frozensets.round_out` that runs, for blocks of any power of two up to the granule's.

It is run on a `Window`: the plain space, of which only a few arbitrary blocks are looked at. Sets of any size are
reached by witnesses: `round_out` is written with set comprehensions, which treat each member by itself, so a block is
in `round_out(S)` exactly if it is in `round_out({c})` for a member c of S (`round_out_distributes` runs the step from
one member to two). A statement about every set is then one about arbitrary members, or names the member.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cbtimpl.granules import count, covering, span
from cbtmodel.blocks import Frozensets, touched
from cbtmodel.node import LARGEST_GRANULARITY, SMALLEST_GRANULARITY

from cbtproofs.arithmetic.arithmetic_proof import Given


def a_granularity(given: Given, name: str = "granularity") -> int:
    """An arbitrary power of two from 512 to 2^31."""
    return given.power(name, SMALLEST_GRANULARITY, LARGEST_GRANULARITY)


def a_range(given: Given) -> tuple[int, int, int]:
    """An arbitrary offset and length, and an arbitrary size, all in bytes: the range may reach beyond the end."""
    return given.number("offset"), given.number("length"), given.number("size")


def a_run(given: Given, name: str = "granularity") -> tuple[int, int, int, int]:
    """An arbitrary run of a disk's granules, not empty: first, past, the disk's size, the granularity."""
    first, past, size = given.number("first"), given.number("past"), given.number("size")
    granularity = a_granularity(given, name)
    given.assume(first < past, past <= count(size, granularity))
    return first, past, size, granularity


@dataclass(frozen=True)
class Window(Frozensets):
    """The plain space, seen at a few blocks. What `range(first, past)` holds of them is said by two comparisons."""

    seen: tuple[int, ...] = ()

    def blocks(self, offset: int, length: int) -> frozenset[int]:
        """Those of the seen blocks that the byte range touches."""
        first, past = touched(offset, length, self.block)
        return frozenset(each for each in self.seen if (first <= each) & (each < past))


@dataclass(frozen=True)
class Disk:
    """An arbitrary disk, an arbitrary granularity, and blocks that are not larger than granules. All in bytes."""

    size: int
    granule: int
    block: int

    def has(self, number: int) -> bool:
        """Whether a block is on the disk."""
        return number in Window(self.block, (number,)).everything(self.size)

    def round_out(self, blocks: frozenset[int], number: int) -> bool:
        """Whether a block is in the rounding of `blocks`."""
        return number in Window(self.block, (number,)).round_out(blocks, self.granule, self.size)


def a_disk(given: Given) -> Disk:
    """An arbitrary one."""
    disk = Disk(given.number("size"), a_granularity(given), given.power("block", 1, LARGEST_GRANULARITY))
    given.assume(disk.block <= disk.granule)
    return disk


def those(*members: tuple[int, bool]) -> frozenset[int]:
    """The blocks for which it is said that they are in."""
    return frozenset(number for number, is_in in members if is_in)


# Blocks


def blocks_are_those_touched(given: Given) -> None:
    """The blocks of a range are exactly those that share a byte with it."""
    offset, length, byte = given.number("offset"), given.number("length"), given.number("byte")
    block, number = given.power("block", 1, LARGEST_GRANULARITY), given.number("number")
    first, past = touched(offset, length, block)
    if (offset <= byte) & (byte < offset + length):
        given.claim("a byte's block is there", (first <= byte // block) & (byte // block < past))
    given.assume(first <= number, number < past)
    shared = max(offset, number * block)
    given.claim("a byte is shared", (shared // block == number) & (shared < offset + length))
    given.sometimes("unaligned at both ends", (offset % block != 0) & ((offset + length) % block != 0))
    given.sometimes("a sum of more than 2^63", offset + length > 1 << 63)


def everything_is_every_block_with_a_byte(given: Given) -> None:
    """A block is on the disk exactly if its first byte is, so that a partial last block is one."""
    disk, number = a_disk(given), given.number("number")
    on_disk = disk.has(number)
    if on_disk:
        given.claim("its first byte is on the disk", number * disk.block < disk.size)
        given.sometimes("a partial last block", (number == disk.size // disk.block) & (disk.size % disk.block != 0))
    byte = given.number("byte")
    given.assume(byte < disk.size, byte // disk.block == number)
    given.claim("the block of a byte on the disk is there", on_disk)


# The closure


def round_out_is_by_granules(given: Given) -> None:
    """A block of the disk is in the rounding of a set exactly if a block of the set lies in the same granule of
    bytes."""
    disk, number, member = a_disk(given), given.number("number"), given.number("member")
    given.assume(disk.has(number), disk.has(member))
    same = number * disk.block // disk.granule == member * disk.block // disk.granule
    given.claim("exactly then", disk.round_out(frozenset({member}), number) == same)
    given.sometimes("another block", same & (number != member))
    given.sometimes("in a partial tail", same & (number < member) & (disk.size % disk.granule != 0))


def round_out_is_extensive(given: Given) -> None:
    """Every block of a set that is on the disk is in the set's rounding."""
    disk, number = a_disk(given), given.number("number")
    given.assume(disk.has(number))
    given.claim("it is", disk.round_out(frozenset({number}), number))
    given.sometimes("a partial last block", disk.size // disk.block == number)


def round_out_is_clipped(given: Given) -> None:
    """A rounding keeps to the disk, whatever is rounded, and the rounding of nothing is nothing."""
    disk, number, member = a_disk(given), given.number("number"), given.number("member")
    given.claim("nothing of nothing", not disk.round_out(frozenset(), number))
    if disk.round_out(frozenset({member}), number):
        given.claim("on the disk", disk.has(number))
        given.sometimes("of a block that is not on the disk", number < member)


def round_out_distributes(given: Given) -> None:
    """The rounding of a union is the union of the roundings."""
    disk, number = a_disk(given), given.number("number")
    one, other = given.number("one"), given.number("other")
    of_both = disk.round_out(frozenset({one, other}), number)
    of_either = disk.round_out(frozenset({one}), number) or disk.round_out(frozenset({other}), number)
    given.claim("the same", of_both == of_either)
    given.sometimes("it is in", of_both)
    given.sometimes("it is not in", not of_both)


def round_out_of_a_covered_set_is_covered(given: Given) -> None:
    """If a set is contained in the union of others, its rounding is contained in the union of their roundings (of one
    other: it is monotone)."""
    disk, number, member = a_disk(given), given.number("number"), given.number("member")
    in_set, in_one, in_other = given.flag("in the set"), given.flag("in one"), given.flag("in the other")
    given.assume(in_one | in_other)
    if disk.round_out(those((member, in_set)), number):
        of_one = disk.round_out(those((member, in_one)), number)
        of_other = disk.round_out(those((member, in_other)), number)
        given.claim("in one of the two", of_one or of_other)
        given.sometimes("in one only", of_one and not of_other)


def round_out_is_idempotent(given: Given) -> None:
    """Rounding a second time adds nothing: a block in the rounding of a rounding is in the rounding."""
    disk, number = a_disk(given), given.number("number")
    between, member = given.number("between"), given.number("member")
    given.assume(disk.round_out(frozenset({member}), between), disk.round_out(frozenset({between}), number))
    given.claim("it is", disk.round_out(frozenset({member}), number))
    given.sometimes("three blocks", (number < between) & (between < member))


def rounding_by_less_than_a_block_is_nothing(given: Given) -> None:
    """Where a block is not smaller than a granule, rounding leaves a set as it is."""
    size, number, member = given.number("size"), given.number("number"), given.number("member")
    disk = Disk(size, a_granularity(given), given.power("block", 1, LARGEST_GRANULARITY))
    given.assume(disk.granule <= disk.block, disk.has(number))
    given.claim("only itself", disk.round_out(frozenset({member}), number) == (number == member))
    given.sometimes("blocks larger than granules", disk.granule < disk.block)


# The implementation computes the same


def on_the_disk(given: Given, disk: Disk) -> tuple[int, int]:
    """An arbitrary range of bytes that keeps to the disk."""
    offset, length = given.number("offset"), given.number("length")
    given.assume(offset + length <= disk.size)
    return offset, length


def is_marked(disk: Disk, offset: int, length: int, number: int) -> bool:
    """Whether the implementation marks a block for a range of bytes."""
    marked = span(*covering(offset, length, disk.granule, disk.size), disk.granule, disk.size)
    return number in Window(disk.block, (number,)).blocks(*marked)


def is_specified(disk: Disk, offset: int, length: int, number: int, member: int) -> bool:
    """Whether the specification marks a block for a range of bytes, because of one block of the range."""
    return disk.round_out(Window(disk.block, (member,)).blocks(offset, length), number)


def a_cause(disk: Disk, offset: int, number: int) -> int:
    """The block of a range because of which a block is marked: the range's first, or the granule's."""
    per_granule = disk.granule // disk.block
    return max(offset // disk.block, number // per_granule * per_granule)


def what_is_specified_is_marked(given: Given) -> None:
    """For any bytes of the disk (a write, a run of granules to merge, clusters left over), the implementation marks
    each block of `round_out`."""
    disk = a_disk(given)
    (offset, length), number, member = on_the_disk(given, disk), given.number("number"), given.number("member")
    given.assume(is_specified(disk, offset, length, number, member))
    given.claim("it is marked", is_marked(disk, offset, length, number))
    given.sometimes("another block, in a partial tail", (number < member) & (disk.size % disk.granule != 0))


def what_is_marked_is_specified(given: Given) -> None:
    """For any bytes of the disk, the implementation marks no block but those of `round_out`."""
    disk = a_disk(given)
    (offset, length), number = on_the_disk(given, disk), given.number("number")
    given.assume(is_marked(disk, offset, length, number))
    member = a_cause(disk, offset, number)
    given.claim("it is specified", is_specified(disk, offset, length, number, member))
    given.sometimes("another block, in a partial tail", (number < member) & (disk.size % disk.granule != 0))


THEOREMS: tuple[Callable[[Given], None], ...] = (
    blocks_are_those_touched,
    everything_is_every_block_with_a_byte,
    round_out_is_by_granules,
    round_out_is_extensive,
    round_out_is_clipped,
    round_out_distributes,
    round_out_of_a_covered_set_is_covered,
    round_out_is_idempotent,
    rounding_by_less_than_a_block_is_nothing,
    what_is_specified_is_marked,
    what_is_marked_is_specified,
)
