"""Contracts of a bitmap's life: what each transition owes, for one arbitrary granule of an arbitrary bitmap.

`own` says whether the granule is dirty in the bitmap, `heirs` whether it is in the successor; `rest` whether the
bitmap has any other dirty granule. Whatever is not about bytes is about granules of 512 bytes: the size of a granule
has no part in it.
"""

from cbtimpl.bitmap import Bitmap
from cbtimpl.bits import GranuleSet
from cbtimpl.contracts.arithmetic import LARGEST, a_disk, a_range, shares_a_byte, two_sizes  # noqa: F401 (`pre:`)
from cbtimpl.contracts.registry import SUBJECT, contract
from cbtimpl.contracts.stores import apart, listed, watched, watching  # noqa: F401 (for `pre:`)


def bitmap_of(sets: type[GranuleSet]) -> type[Bitmap]:
    """The class that is under contract, with that kind of sets."""

    class Seen(SUBJECT.bitmap):  # type: ignore[name-defined, misc]
        set_class = sets

    return Seen


def a_bitmap(
    granule: int, own: bool, enabled: bool = True, rest: bool = False, granularity: int = 512, size: int = LARGEST
) -> Bitmap:
    """A free bitmap with any bits, seen by one granule."""
    made = bitmap_of(watching(granule))("b", granularity, size, enabled)
    made.bits = watched(granularity, size, granule, own, rest)
    return made


def a_frozen_bitmap(
    granule: int, own: bool, heirs: bool, enabled: bool, heir_enabled: bool,
    granularity: int = 512, size: int = LARGEST,
) -> Bitmap:  # fmt: skip
    """A bitmap that a job has frozen some time ago."""
    made = a_bitmap(granule, own, enabled, False, granularity, size)
    made.user = "job"
    made.successor = bitmap_of(watching(granule))(None, granularity, size, heir_enabled)
    made.successor.bits = watched(granularity, size, granule, heirs, False)
    return made


@contract("Bitmap.__init__")
def a_new_bitmap_is_clean_and_free(granule: int, granularity: int, size: int, enabled: bool) -> bool:
    """Nothing is dirty, nobody has it, and it records if it was told to.

    pre: a_disk(size, granularity) and 0 <= granule
    post: _
    """
    made = bitmap_of(watching(granule))("b", granularity, size, enabled)
    clean = made.bits.is_empty() and granule not in made.bits
    same = (made.name, made.granularity, made.size, made.enabled) == ("b", granularity, size, enabled)
    return clean and same and not made.busy and not made.frozen


@contract("Bitmap.record", "Bitmap.touched")
def a_write_is_recorded(
    granule: int, own: bool, enabled: bool, offset: int, length: int, granularity: int, size: int
) -> bool:
    """A free bitmap that is enabled gets each granule that shares a byte with the write; one that is not, nothing.

    pre: a_disk(size, granularity) and a_range(offset, length) and 0 <= granule
    post: _
    """
    bitmap = a_bitmap(granule, own, enabled, False, granularity, size)
    bitmap.record(offset, length)
    hit = shares_a_byte(granule, offset, length, granularity, size)
    return (granule in bitmap.bits) == (own or (enabled and hit))


@contract("Bitmap.record", "Bitmap.recorder")
def a_write_is_recorded_by_the_successor(
    granule: int, own: bool, heirs: bool, enabled: bool, heir_enabled: bool,
    offset: int, length: int, granularity: int, size: int,
) -> bool:  # fmt: skip
    """While a bitmap is frozen its successor gets the write, if that is enabled; the bitmap's own bits stand still.

    pre: a_disk(size, granularity) and a_range(offset, length) and 0 <= granule
    post: _
    """
    bitmap = a_frozen_bitmap(granule, own, heirs, enabled, heir_enabled, granularity, size)
    successor = bitmap.successor
    bitmap.record(offset, length)
    hit = shares_a_byte(granule, offset, length, granularity, size)
    if successor is None or bitmap.successor is not successor:
        return False
    return (granule in bitmap.bits) == own and (granule in successor.bits) == (heirs or (heir_enabled and hit))


@contract("Bitmap.recording", "Bitmap.busy", "Bitmap.frozen")
def what_is_reported_is_so(frozen: bool, enabled: bool, heir_enabled: bool, removal: bool) -> bool:
    """A bitmap reports that it records if whoever would get a write is enabled; busy and frozen are two things.

    pre: not (frozen and removal)
    post: _
    """
    bitmap = a_frozen_bitmap(0, False, False, enabled, heir_enabled) if frozen else a_bitmap(0, False, enabled)
    if removal:
        bitmap.user = "removal"
    recording = heir_enabled if frozen else enabled
    return (bitmap.recording, bitmap.busy, bitmap.frozen) == (recording, frozen or removal, frozen)


@contract("Bitmap.enable", "Bitmap.disable")
def switching_changes_nothing_but_the_switch(granule: int, own: bool, enabled: bool, enables: bool) -> bool:
    """Enable and disable decide about writes to come; what is dirty stays so.

    pre: 0 <= granule
    post: _
    """
    bitmap = a_bitmap(granule, own, enabled)
    if enables:
        bitmap.enable()
    else:
        bitmap.disable()
    return bitmap.recording == enables and (granule in bitmap.bits) == own and not bitmap.busy


@contract("Bitmap.clear")
def a_clear_can_be_undone(granule: int, own: bool, rest: bool, enabled: bool) -> bool:
    """Nothing is dirty afterwards, the bits that are returned are as before, and it records as before.

    pre: 0 <= granule
    post: _
    """
    bitmap = a_bitmap(granule, own, enabled, rest)
    before = bitmap.clear()
    cleared = bitmap.bits.is_empty() and granule not in bitmap.bits
    kept = (granule in before) == own and before.is_empty() == (not own and not rest)
    same = (bitmap.granularity, bitmap.size, bitmap.enabled) == (512, LARGEST, enabled)
    return cleared and kept and same


@contract("Bitmap.merge", "Bitmap.merge_nothing", "Bitmap.merge_into_nothing")
def a_merge_is_the_union(granule: int, own: bool, others: bool, rest: bool, others_rest: bool) -> bool:
    """What was dirty in one of the two is dirty in the target, also if one was empty; the source keeps what it has.

    pre: 0 <= granule
    post: _
    """
    target, source = a_bitmap(granule, own, rest=rest), a_bitmap(granule, others, rest=others_rest)
    target.merge(source)
    empty = not (own or others or rest or others_rest)
    return (
        (granule in target.bits) == (own or others)
        and target.bits.is_empty() == empty
        and (granule in source.bits) == others
    )


@contract("Bitmap.merge")
def a_merge_with_itself_is_nothing(granule: int, own: bool, rest: bool) -> bool:
    """A bitmap that is merged into itself stays as it is.

    pre: 0 <= granule
    post: _
    """
    bitmap = a_bitmap(granule, own, rest=rest)
    bitmap.merge(bitmap)
    return (granule in bitmap.bits) == own and bitmap.bits.is_empty() == (not own and not rest)


@contract("Bitmap.merge", "Bitmap.merge_into_nothing")
def a_merge_across_granularities_rounds_out(
    granule: int, own: bool, rest: bool, finer: bool, size: int, first: int, past: int
) -> bool:
    """A granule of the target is dirty if it was, or shares a byte with what is dirty in the source (one run).

    pre: a_disk(size, 1) and 0 <= granule and first < past and apart(two_sizes(finer)[0], size, (first, past))
    post: _
    """
    other, granularity = two_sizes(finer)
    target = a_bitmap(granule, own, True, rest, granularity, size)
    source = a_bitmap(granule, False, True, False, other, size)
    source.bits = listed(other, size, (first, past))
    target.merge(source)
    hit = shares_a_byte(granule, first * other, (past - first) * other, granularity, size)
    return (granule in target.bits) == (own or hit)


@contract("Bitmap.freeze", "Bitmap.make_successor")
def a_freeze_puts_an_empty_successor_in_place(granule: int, own: bool, rest: bool, enabled: bool) -> bool:
    """The successor is empty, anonymous, of the same granules, and enabled as the bitmap is, whose bits stand still.

    pre: 0 <= granule
    post: _
    """
    bitmap = a_bitmap(granule, own, enabled, rest)
    before = bitmap.bits
    bitmap.freeze("job")
    heir = bitmap.successor
    if heir is None or not (bitmap.busy and bitmap.bits is before and (granule in before) == own):
        return False
    same = (heir.name, heir.granularity, heir.size, heir.enabled) == (None, 512, LARGEST, enabled)
    return same and heir.bits.is_empty() and granule not in heir.bits and not heir.busy and not heir.frozen


@contract("Bitmap.thaw", "Bitmap.freeze")
def a_thaw_undoes_a_freeze(granule: int, own: bool, rest: bool, enabled: bool) -> bool:
    """After a freeze and a thaw, with no write between, the bitmap is as it was.

    pre: 0 <= granule
    post: _
    """
    bitmap = a_bitmap(granule, own, enabled, rest)
    bitmap.freeze("job")
    bitmap.thaw()
    same = (granule in bitmap.bits) == own and bitmap.bits.is_empty() == (not own and not rest)
    return same and bitmap.recording == enabled and not bitmap.busy and not bitmap.frozen


@contract("Bitmap.abdicate")
def the_heir_takes_the_name(
    granule: int, own: bool, heirs: bool, enabled: bool, heir_enabled: bool, persistent: bool
) -> bool:
    """After abdicate the name has just what was written meanwhile, records as the successor did, and is free.

    It is to be stored if the bitmap was.

    pre: 0 <= granule
    post: _
    """
    bitmap = a_frozen_bitmap(granule, own, heirs, enabled, heir_enabled)
    bitmap.persistent = persistent
    heir = bitmap.abdicate()
    kept = (granule in heir.bits) == heirs and heir.recording == heir_enabled and heir.persistent == persistent
    return kept and heir.name == "b" and not heir.busy and not heir.frozen and bitmap.successor is None


@contract("Bitmap.reclaim")
def what_was_written_is_taken_back(granule: int, own: bool, heirs: bool, enabled: bool, heir_enabled: bool) -> bool:
    """After reclaim the bitmap has what it had and what was written meanwhile, records as its successor, is free.

    pre: 0 <= granule
    post: _
    """
    bitmap = a_frozen_bitmap(granule, own, heirs, enabled, heir_enabled)
    heir = bitmap.reclaim()
    kept = (granule in heir.bits) == (own or heirs) and heir.recording == heir_enabled
    return kept and heir is bitmap and heir.name == "b" and not heir.busy and not heir.frozen


@contract("Bitmap.freeze", "Bitmap.record", "Bitmap.abdicate", "Bitmap.reclaim")
def no_write_is_lost_by_a_job(
    byte: int, own: bool, success: bool, before: bool, offset: int, length: int, granularity: int, size: int
) -> bool:
    """A byte that is written while a job has the bitmap is dirty when it ends, however; before, too, if it failed.

    pre: a_disk(size, granularity) and a_range(offset, length) and 0 <= byte < size
    pre: offset <= byte < offset + length
    post: _
    """
    granule = byte // granularity
    bitmap = a_bitmap(granule, own, True, False, granularity, size)
    if before:
        bitmap.record(offset, length)
    bitmap.freeze("job")
    if not before:
        bitmap.record(offset, length)
    heir = bitmap.abdicate() if success else bitmap.reclaim()
    return (granule in heir.bits) == (not (before and success))
