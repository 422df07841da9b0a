"""The oracle says what the specification says, whatever waits in its buffers; and tells lies apart."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from cbtcheck.adapter import Observation, Reply, SeenAnonymous, SeenBitmap, SeenJob, digest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.judge import judge, phase_of
from cbtcheck.oracle import (
    INDEFINITE,
    BitsFinding,
    Granules,
    Oracle,
    OracleError,
    Seen,
    Sight,
    buffer,
    oracle,
)
from cbtcheck.scenario.scenario import command_to_data
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.draw import GUEST, JOB, OPERATOR, Hand, drawn
from cbtcheck.search.refused import nonsense
from cbtcheck.sets.bitsets import Bits, BitSets
from cbtmodel.bitmap import busy, recording
from cbtmodel.claims import sets_of, without_sets
from cbtmodel.commands import (
    AddBitmap,
    BeginCopy,
    BeginWrite,
    CancelJob,
    ClearBitmap,
    Copy,
    DisableBitmap,
    PauseJob,
    RemoveBitmap,
    ResumeJob,
    StartBackup,
    Transaction,
    Write,
)
from cbtmodel.node import State, initial
from cbtmodel.step import step
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap64, FrozenBitMap

KIB, MIB, TIB = 1 << 10, 1 << 20, 1 << 40
CAPABILITIES = ReferenceAdapter.capabilities


def of_bits(blocks: Bits) -> frozenset[int]:
    return frozenset(i for i in range(blocks.word.bit_length()) if blocks.word >> i & 1)


def followed(asked: Oracle) -> State[Any]:
    (state,) = asked.states
    return state


def same_state(asked: Oracle, plain: State[Bits]) -> None:
    state = followed(asked)
    assert without_sets(state) == without_sets(plain)
    found = {
        place: frozenset(n for each in blocks.spelt_out().held for n in each.members)
        for place, blocks in sets_of(state)
    }  # fmt: skip
    assert found == {place: of_bits(blocks) for place, blocks in sets_of(plain)}


def same_bounds(asked: Oracle, plain: State[Bits], space: BitSets) -> None:
    places = [(node_name, name) for node_name, node in plain.nodes.items() for name in node.bitmaps]
    assert asked.bitmaps() == places
    for node_name, name in places:
        bitmap, size = plain.nodes[node_name].bitmaps[name], plain.nodes[node_name].size
        bounds = asked.bounds(node_name, name)
        assert bounds.must.word() == space.granules(bitmap.marks.owed, bitmap.granularity, size)
        assert bounds.may.word() == space.granules(bitmap.marks.dirty, bitmap.granularity, size)
        flags = bitmap.granularity, recording(bitmap), busy(bitmap)
        assert (bounds.granularity, bounds.recording, bounds.busy) == flags


def next_command(random: Random, state: State[Bits]) -> Any:
    hand = Hand(random.randrange, state, CAPABILITIES)
    kinds = random.choice((OPERATOR, GUEST, GUEST, JOB, None))
    return nonsense(hand) if kinds is None else drawn(hand, kinds)


MOST, SHORT = st.sampled_from([1, 2, 5, 1 << 20]), st.sampled_from([1, 8])


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 50), MOST, SHORT)
def test_it_agrees_with_the_specification_step_by_step(random: Random, length: int, most: int, short: int) -> None:
    """Writes wait, in buffers of any size; replies, ends, and all that is asked now and then are as specified."""
    agrees(random, length, most, short)


@pytest.mark.parametrize("seed", range(30))
def test_it_agrees_through_long_histories(seed: int) -> None:
    agrees(Random(seed), 120, (2, 1 << 20)[seed % 2], 8)


def agrees(random: Random, length: int, most: int, short: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffer, "MOST_WRITES", most)
        patch.setattr(buffer, "SHORT", short)
        disks = random.choice(CAPABILITIES.disks)
        asked, space = Oracle(disks), BitSets()
        plain = initial(space, disks)
        for _ in range(length):
            command = next_command(random, plain)
            expected = step(plain, command)
            if isinstance(command, Write) and random.randrange(2):
                answer = asked.write(command.node, command.offset, command.length, command.kind, command.result)
            else:
                answer = asked.command(command)
            plain = expected.state
            assert answer.reply.refusal == ("" if expected.refusal is None else expected.refusal.kind)
            assert answer.ended == tuple((end.job_id, end.outcome) for end in expected.ended)
            assert not answer.findings
            if not random.randrange(6):
                same_bounds(asked, plain, space)
            if not random.randrange(10):
                same_state(asked, plain)
        same_bounds(asked, plain, space)
        same_state(asked, plain)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_many_writes_at_once_are_writes_one_by_one(data: st.DataObject) -> None:
    size = 1 * MIB
    one, many = Oracle({"d": size}), Oracle({"d": size})
    length = data.draw(st.integers(0, 6 * KIB))
    aligned = data.draw(st.booleans())
    offsets = data.draw(st.lists(st.integers(0, (size - length) // 512).map(lambda n: 512 * n) if aligned
                                 else st.integers(0, size - length)))  # fmt: skip
    for each in (one, many):
        each.command(AddBitmap("d", "b", 4096))
        if data.draw(st.booleans()):
            each.command(StartBackup("j", "d", "full", cluster=4096))
    for offset in offsets:
        one.write("d", offset, length)
    many.writes("d", offsets if data.draw(st.booleans()) else array("Q", offsets), length)
    assert one.bounds("d", "b") == many.bounds("d", "b")


def test_a_write_that_ends_a_job_does_not_wait() -> None:
    asked = Oracle({"d": 4 * 64 * KIB, "other": MIB})
    asked.command(StartBackup("j", "d", "full"))
    ends = [asked.write("d", 64 * KIB * n, 512).ended for n in range(4)]
    assert ends == [(), (), (), (("j", "completed"),)]


def test_writes_wait_while_a_job_has_much_to_copy() -> None:
    """However many there are: none is given to the specification alone but those that may be the last."""
    asked = Oracle({"d": TIB}, block=4096)
    asked.command(StartBackup("j", "d", "full"))
    asked.command(AddBitmap("d", "b", 65536))
    written = asked._flush
    flushes = []
    asked._flush = lambda *rest: (flushes.append(rest), written(*rest))  # type: ignore[method-assign,assignment]
    for n in range(10_000):
        asked.write("d", n * MIB, 4096)
    assert not flushes
    assert len(asked.bounds("d", "b").must) == 10_000


def test_writes_elsewhere_wait_when_a_job_has_little_left() -> None:
    asked = Oracle({"d": MIB})
    asked.command(StartBackup("j", "d", "full", cluster=4096))
    asked.command(Copy("j", 4096, MIB - 4096))
    before = asked.states[0]
    for n in range(1, 256):
        assert not asked.write("d", n * 4096, 512).ended
    assert asked._worlds[0].state is before, "they went on"
    assert asked.write("d", 0, 512).ended == (("j", "completed"),)


def test_a_copy_in_flight_that_a_write_waits_for_counts_as_copied() -> None:
    asked = Oracle({"d": MIB})
    asked.command(StartBackup("j", "d", "full", cluster=4096))
    asked.command(BeginCopy("j", 0, MIB - 4096))
    assert not asked.write("d", 0, 512).ended
    assert asked.write("d", MIB - 512, 512).ended == (("j", "completed"),)


def test_a_job_that_cannot_end_by_a_write_does_not_keep_writes_from_waiting() -> None:
    asked = Oracle({"d": MIB})
    asked.command(StartBackup("j", "d", "full", cluster=4096))
    asked.command(Copy("j", 4096, MIB - 4096))
    asked.command(PauseJob("j"))
    before = asked.states[0]
    assert not asked.write("d", 0, 512).ended
    assert asked._worlds[0].state is before, "it went on"
    assert asked.command(ResumeJob("j")).ended == (("j", "completed"),)


def test_writes_wait_again_after_some_have_gone_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "MOST_WRITES", 1000)
    asked = Oracle({"d": 16 * MIB})
    asked.command(StartBackup("j", "d", "full", cluster=4096))
    went_on = 0
    for n in range(6000):
        before = asked._worlds[0].state
        asked.write("d", n % 2000 * 4096, 512)
        went_on += asked._worlds[0].state is not before
    assert 6 <= went_on < 20


# What is refused is refused, and not gathered


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (("d", MIB - 100, 512), "invalid"),
        (("d", MIB, 1), "invalid"),
        (("d", -1, 512), "invalid"),
        (("d", 0, -1), "invalid"),
        (("nowhere", 0, 512), "not found"),
        (("d", 0, 512, "swap"), "invalid"),
        (("d", 0, 512, "write", "ignored"), "invalid"),
        (("d", True, 512), "invalid"),
        (("d", 1.0, 512), "invalid"),
        (("d", 0, 1 << 70), "invalid"),
    ],
)
def test_a_write_that_is_refused_is_not_gathered(write: tuple[Any, ...], kind: str) -> None:
    asked = Oracle({"d": MIB})
    asked.command(AddBitmap("d", "b", 512))
    assert asked.write(*write).reply.refusal == kind
    assert asked.command(Write(*write)).reply.refusal == kind
    assert not asked.bounds("d", "b").may


def test_many_writes_of_which_one_cannot_be_are_none() -> None:
    asked = Oracle({"d": MIB})
    asked.command(AddBitmap("d", "b", 512))
    for offsets, length in (([0, MIB], 1), ([0, -1], 1), ([0, 1.5], 1), ([0], -1)):
        with pytest.raises(OracleError):
            asked.writes("d", offsets, length)  # type: ignore[arg-type]
    with pytest.raises(OracleError):
        asked.writes("nowhere", [0], 1)
    assert not asked.bounds("d", "b").may


def test_commands_may_be_given_as_json_data() -> None:
    asked, other = Oracle({"d": MIB}), Oracle({"d": MIB})
    for command in (AddBitmap("d", "b", 4096), Write("d", 0, 512), Transaction((ClearBitmap("d", "b"),))):
        assert asked.command(command_to_data(command)) == other.command(command)
    with pytest.raises(OracleError, match="unknown command 'fly'"):
        asked.command({"do": "fly"})
    with pytest.raises(OracleError, match="restore"):
        asked.command({"do": "restore", "jobs": []})
    with pytest.raises(OracleError, match="no command"):
        asked.command("write")  # type: ignore[arg-type]
    with pytest.raises(OracleError, match="no reply"):
        asked.command(AddBitmap("d", "c", 4096), reply="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("disks", "block"),
    [({"d": 100}, 512), ({"d": 0}, 512), ({"d": 1 << 60}, 512), ({"d": True}, 512), ({"d": 512}, 1000), ({}, 0)],
)
def test_disks_that_cannot_be_are_refused(disks: dict[str, int], block: int) -> None:
    with pytest.raises(OracleError):
        Oracle(disks, block)


def test_what_is_smaller_than_a_block_cannot_be_followed() -> None:
    asked = Oracle({"d": MIB}, block=4096)
    asked.command(AddBitmap("d", "b", 4096))
    before = asked.states
    for command in (
        AddBitmap("d", "c", 2048),
        StartBackup("j", "d", "full", cluster=512),
        Transaction((AddBitmap("d", "c", 1024),)),
    ):
        with pytest.raises(OracleError, match="cannot be told apart in blocks of 4096"):
            asked.command(command)
    assert asked.states == before
    assert asked.command(AddBitmap("d", "b", 2048)).reply.refusal == "exists", "what is refused does not matter"


# What is seen


def told() -> tuple[Oracle, State[Bits], BitSets]:
    """Two bitmaps, one of them frozen, with something in them; and the same on bit vectors."""
    disks, space = {"d": 2 * MIB}, BitSets()
    asked, plain = Oracle(disks), initial(space, disks)
    for command in (
        AddBitmap("d", "b", 65536),
        AddBitmap("d", "c", 4096),
        Write("d", 0, 200 * KIB),
        Write("d", MIB, 512),
        StartBackup("j", "d", "incremental", "b"),
        Write("d", MIB, 512),
        BeginWrite("d", "w", 0, 512),
    ):
        assert asked.command(command).accepted
        plain = step(plain, command).state
    return asked, plain, space


def sight_of(plain: State[Bits], space: BitSets) -> Sight:
    """What is seen of an implementation that is right."""
    bitmaps: dict[tuple[str, str], Seen | None] = {}
    for node_name, node in plain.nodes.items():
        for name, each in node.bitmaps.items():
            word = space.granules(each.marks.dirty, each.granularity, node.size)
            bits = Granules.from_raw_bits(word.to_bytes(64, "little"), each.granularity, node.size)
            bitmaps[node_name, name] = Seen(each.granularity, recording(each), busy(each), bits, len(bits))
    jobs: dict[str, SeenJob | None] = {job_id: SeenJob(phase_of(job), None) for job_id, job in plain.jobs.items()}
    return Sight(
        bitmaps, jobs, {"d": (SeenAnonymous(65536, True, 1),)}, frozenset({("d", "w")}), complete=True
    )  # fmt: skip


def test_an_implementation_that_is_right_is_right() -> None:
    asked, plain, space = told()
    sight = sight_of(plain, space)
    assert asked.observe(sight) == []
    assert asked.observe(Sight(sight.bitmaps)) == []
    assert asked.observe(Sight({("d", "b"): Seen()})) == []
    copied = ((0, 65536), (MIB, 65536))
    assert asked.observe(Sight(jobs={"j": SeenJob("running", copied)})) == []


def changed(sight: Sight, **changes: Any) -> Sight:
    members = {name: getattr(sight, name) for name in Sight.__slots__}
    return Sight(**{**members, **changes})


def bits(sight: Sight, place: tuple[str, str]) -> BitMap64:
    seen = sight.bitmaps[place]
    assert seen is not None
    assert isinstance(seen.bits, Granules)
    return BitMap64(seen.bits.numbers())


Lie = Callable[[Sight], Sight]


def with_bitmap(sight: Sight, name: str, seen: Seen | None) -> Sight:
    return changed(sight, bitmaps={**sight.bitmaps, ("d", name): seen})


LIES: dict[str, tuple[Lie, Verdict, str]] = {
    "a lost granule": (
        lambda s: with_bitmap(s, "b", Seen(bits=bits(s, ("d", "b")) - BitMap64([2]))),
        Verdict.UNSAFE, "NO-LOST-WRITE",
    ),
    "an extra granule": (
        lambda s: with_bitmap(s, "b", Seen(bits=bits(s, ("d", "b")) | BitMap64([30]))),
        Verdict.WASTEFUL, "EXACT",
    ),
    "a granule less, as counted": (
        lambda s: with_bitmap(s, "b", Seen(count=len(bits(s, ("d", "b"))) - 1)), Verdict.UNSAFE, "NO-LOST-WRITE",
    ),
    "a granule more, as counted": (
        lambda s: with_bitmap(s, "b", Seen(count=len(bits(s, ("d", "b"))) + 1)), Verdict.WASTEFUL, "EXACT",
    ),
    "counted and read otherwise": (
        lambda s: with_bitmap(s, "b", Seen(bits=bits(s, ("d", "b")), count=1)), Verdict.DIVERGES, "",
    ),
    "a bitmap is missing": (lambda s: with_bitmap(s, "b", None), Verdict.UNSAFE, "ONE-HEIR"),
    "a bitmap too many": (lambda s: with_bitmap(s, "x", Seen(512, True, False)), Verdict.DIVERGES, "ONE-HEIR"),
    "not busy": (lambda s: with_bitmap(s, "b", Seen(busy=False)), Verdict.DIVERGES, ""),
    "deaf": (lambda s: with_bitmap(s, "c", Seen(recording=False)), Verdict.UNSAFE, "NO-LOST-WRITE"),
    "another granularity": (lambda s: with_bitmap(s, "c", Seen(granularity=8192)), Verdict.DIVERGES, ""),
    "no job": (lambda s: changed(s, jobs={"j": None}), Verdict.DIVERGES, ""),
    "a job too many": (
        lambda s: changed(s, jobs={"j": SeenJob("running", None), "k": SeenJob("running", None)}),
        Verdict.DIVERGES, "",
    ),
    "another phase": (lambda s: changed(s, jobs={"j": SeenJob("pending", None)}), Verdict.DIVERGES, ""),
    "a cluster not saved": (
        lambda s: changed(s, jobs={"j": SeenJob("running", ((0, 65536),))}), Verdict.UNSAFE, "POINT-IN-TIME",
    ),
    "clusters copied that nobody asked for": (
        lambda s: changed(s, jobs={"j": SeenJob("running", ((0, 2 * MIB),))}), Verdict.DIVERGES, "POINT-IN-TIME",
    ),
    "no successor": (lambda s: changed(s, successors={}), Verdict.DIVERGES, "ONE-HEIR"),
    "a successor that missed a write": (
        lambda s: changed(s, successors={"d": (SeenAnonymous(65536, True, 0),)}), Verdict.UNSAFE, "NO-LOST-WRITE",
    ),
    "no write in flight": (lambda s: changed(s, in_flight=frozenset()), Verdict.DIVERGES, ""),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_told(lie: str) -> None:
    tell, verdict, broken = LIES[lie]
    asked, plain, space = told()
    findings = asked.observe(tell(sight_of(plain, space)))
    assert [(each.verdict, each.property) for each in findings] == [(verdict, broken)], findings


@given(st.sets(st.integers(0, 31)), st.sampled_from(["numbers", "extents", "raw", "ready", "32 bits", "one by one"]))
def test_bits_are_judged_as_the_suite_judges_them(numbers: set[int], form: str) -> None:
    asked, plain, space = told()
    word = sum(1 << each for each in numbers)
    ready = Granules.from_numbers(sorted(numbers), 65536, 2 * MIB)
    extents = [(each * 65536, 65536) for each in numbers]
    given_as: dict[str, Any] = {
        "numbers": BitMap64(sorted(numbers)), "ready": ready, "extents": extents, "32 bits": FrozenBitMap(numbers),
        "raw": word.to_bytes(4, "little"), "one by one": iter(extents),
    }  # fmt: skip
    found = asked.observe_bitmap("d", "b", given_as[form])
    adapter = LookedAt(plain, space, {("d", "b"): word})
    expected = [each for each in judge(space, plain, adapter.observation(), adapter.bits) if "bits" in each.where]
    assert found == expected
    for each in found:
        assert isinstance(each, BitsFinding)
        assert each.granules is not None
        assert each.granules.word() == (each.missing if each.missing is not None else each.extra)


class LookedAt:
    """What the suite sees of an implementation that has these bits, and all else as specified."""

    def __init__(self, plain: State[Bits], space: BitSets, words: dict[tuple[str, str], int]) -> None:
        self.plain, self.words = plain, {
            (node_name, name): space.granules(each.marks.dirty, each.granularity, node.size)
            for node_name, node in plain.nodes.items()
            for name, each in node.bitmaps.items()
        } | words  # fmt: skip

    def observation(self) -> Observation:
        seen = {}
        for (node_name, name), word in self.words.items():
            node = self.plain.nodes[node_name]
            each = node.bitmaps[name]
            hashed = digest(word, -(-node.size // each.granularity))
            seen[node_name, name] = SeenBitmap(
                each.granularity, recording(each), busy(each), word.bit_count(), hashed
            )
        return Observation(seen, {job_id: SeenJob(phase_of(job), None) for job_id, job in self.plain.jobs.items()})

    def bits(self, node: str, name: str) -> int:
        return self.words[node, name]


def test_a_coarser_implementation_is_wasteful_and_a_finer_one_is_safe() -> None:
    asked = Oracle({"d": MIB + 512})
    asked.command(AddBitmap("d", "b", 4096))
    asked.write("d", 4096, 512)
    asked.write("d", MIB, 512)
    coarser = asked.observe_bitmap("d", "b", [(0, 65536), (MIB, 512)], granularity=65536)
    assert {each.verdict for each in coarser} == {Verdict.DIVERGES, Verdict.WASTEFUL}
    finer = asked.observe_bitmap("d", "b", [(4096, 512), (MIB, 512)], granularity=512)
    assert {each.verdict for each in finer} == {Verdict.DIVERGES}
    finer = asked.observe_bitmap("d", "b", [(4608, 512), (MIB, 512)], granularity=512)
    assert Verdict.UNSAFE in {each.verdict for each in finer}


@pytest.mark.parametrize(
    "bits",
    [
        [(100, 4096)], [(0, 100)], [(MIB, 4096)], [(0, 2 * MIB)], [(-4096, 4096)], [(4096, -4096)],
        bytes(32) + b"\1", BitMap64([256]),
        Granules.from_numbers([1], 4096, 2 * MIB), Granules.from_numbers([1], 8192, MIB),
    ],
)  # fmt: skip
def test_bits_that_cannot_be_are_an_error(bits: Any) -> None:
    asked = Oracle({"d": MIB})
    asked.command(AddBitmap("d", "b", 4096))
    with pytest.raises(OracleError):
        asked.observe_bitmap("d", "b", bits)
    for granularity in (0, 100, 256, -4096):
        with pytest.raises(OracleError):
            asked.observe_bitmap("d", "b", [], granularity=granularity)
    with pytest.raises(OracleError):
        asked.observe(Sight(successors={}))


# Replies


def test_a_wrong_reply_diverges_and_the_specification_is_followed() -> None:
    asked = Oracle({"d": MIB})
    asked.command(AddBitmap("d", "b", 4096))
    (finding,) = asked.command(AddBitmap("d", "c", 4096), reply=Reply("exists", "no!")).findings
    assert (finding.verdict, finding.seen) == (Verdict.DIVERGES, "refused: exists: no!")
    assert asked.bitmaps() == [("d", "b"), ("d", "c")]
    (finding,) = asked.command(RemoveBitmap("d", "x"), reply=Reply()).findings
    assert finding.seen == "accepted"
    (finding,) = asked.command(Write("d", 0, 512), reply=Reply("busy", "")).findings
    assert finding.verdict is Verdict.DIVERGES
    asked.command(StartBackup("j", "d", "full"))
    (finding,) = asked.command(CancelJob("j"), ended=(("j", "completed"),)).findings
    assert (finding.verdict, finding.property) == (Verdict.UNSAFE, "DELIVERED")
    assert asked.command(Write("d", 0, 512), ended=(("j", "failed"),)).findings


# What may have happened


def indefinite() -> Oracle:
    """A bitmap, and a write that was not answered."""
    asked = Oracle({"d": MIB})
    asked.command(AddBitmap("d", "b", 65536))
    asked.write("d", 0, 512)
    answer = asked.command(Write("d", 65536, 512), reply=INDEFINITE)
    assert answer.worlds == 2
    assert asked.write("d", 3 * 65536, 512).worlds == 2
    return asked


@pytest.mark.parametrize("happened", [True, False])
def test_an_observation_decides_whether_it_happened(happened: bool) -> None:
    asked = indefinite()
    bounds = asked.bounds("d", "b")
    assert list(bounds.must.numbers()) == [0, 3]
    assert list(bounds.may.numbers()) == [0, 1, 3]
    seen = BitMap64([0, 1, 3] if happened else [0, 3])
    assert asked.observe_bitmap("d", "b", seen) == []
    assert len(asked.states) == 1
    assert asked.bounds("d", "b").must.numbers() == seen == asked.bounds("d", "b").may.numbers()
    (finding,) = asked.observe_bitmap("d", "b", BitMap64([0, 3] if happened else [0, 1, 3]))
    assert finding.verdict is (Verdict.UNSAFE if happened else Verdict.WASTEFUL)


def test_what_contradicts_every_history_is_held_against_the_nearest() -> None:
    asked = indefinite()
    (finding,) = asked.observe_bitmap("d", "b", BitMap64([0, 1, 3, 5]))
    assert (finding.verdict, finding.extra) == (Verdict.WASTEFUL, 1 << 5)
    asked = indefinite()
    (finding,) = asked.observe_bitmap("d", "b", BitMap64([0, 1]))
    assert (finding.verdict, finding.missing) == (Verdict.UNSAFE, 1 << 3)


@pytest.mark.parametrize("happened", [True, False])
def test_a_reply_decides_whether_it_happened(happened: bool) -> None:
    asked = Oracle({"d": MIB})
    asked.command(AddBitmap("d", "b", 65536), reply=INDEFINITE)
    asked.write("d", 0, 512)
    bounds = asked.bounds("d", "b")
    assert not bounds.must, "it need not be there"
    assert list(bounds.may.numbers()) == [0]
    answer = asked.command(ClearBitmap("d", "b"))
    assert {answer.reply.refusal, *(reply.refusal for reply, _ in answer.others)} == {"", "not found"}
    assert answer.worlds == 2, "no reply, no decision"
    answer = asked.command(DisableBitmap("d", "b"), reply=Reply("" if happened else "not found"))
    assert (answer.worlds, answer.findings) == (1, ())
    assert asked.bitmaps() == ([("d", "b")] if happened else [])


@pytest.mark.parametrize("happened", [True, False])
def test_jobs_that_end_decide_whether_it_happened(happened: bool) -> None:
    asked = Oracle({"d": MIB})
    asked.command(StartBackup("j", "d", "full"))
    ended = (("j", "cancelled"),) if happened else ()
    answer = asked.command(CancelJob("j"), reply=INDEFINITE, ended=ended)
    assert (answer.worlds, answer.findings, answer.ended) == (1, (), ended)
    assert set(asked.states[0].jobs) == (set() if happened else {"j"})


def test_what_makes_no_difference_is_one_history() -> None:
    asked = Oracle({"d": MIB})
    asked.command(AddBitmap("d", "b", 65536))
    assert asked.command(ClearBitmap("d", "b"), reply=INDEFINITE).worlds == 1
    assert asked.command(AddBitmap("d", "b", 65536), reply=INDEFINITE).worlds == 1
    for _ in range(8):
        assert asked.command(Write("d", 0, 512), reply=INDEFINITE).worlds == 2


def test_histories_are_bounded() -> None:
    asked = Oracle({"d": MIB})
    asked.command(AddBitmap("d", "b", 512))
    for n in range(6):
        asked.command(Write("d", n * 512, 512), reply=INDEFINITE)
    assert len(asked.states) == oracle.MOST_WORLDS
    before = asked.states
    with pytest.raises(OracleError, match="more than 64 histories"):
        asked.command(Write("d", MIB - 512, 512), reply=INDEFINITE)
    assert asked.states == before
    assert asked.observe_bitmap("d", "b", BitMap64([1, 5])) == []
    assert len(asked.states) == 1


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_did_happen_is_always_possible(random: Random) -> None:
    """Some commands are not answered; what is seen of an implementation that is right contradicts nothing."""
    disks, space = random.choice(CAPABILITIES.disks), BitSets()
    asked, plain = Oracle(disks), initial(space, disks)
    unanswered = 0
    for _ in range(random.randrange(1, 30)):
        command = next_command(random, plain)
        after = step(plain, command)
        if unanswered < 5 and not random.randrange(4):
            unanswered += 1
            asked.command(command, reply=INDEFINITE)
            plain = after.state if random.randrange(2) else plain
            continue
        refusal = "" if after.refusal is None else after.refusal.kind
        ends = tuple((end.job_id, end.outcome) for end in after.ended)
        answer = asked.command(command, reply=Reply(refusal), ended=ends)
        assert not answer.findings
        plain = after.state
    for node_name, name in asked.bitmaps():
        if name in plain.nodes[node_name].bitmaps:
            bitmap, size = plain.nodes[node_name].bitmaps[name], plain.nodes[node_name].size
            if all(s.nodes[node_name].bitmaps[name].granularity == bitmap.granularity for s in asked.states
                   if name in s.nodes[node_name].bitmaps):  # fmt: skip
                bounds = asked.bounds(node_name, name)
                dirty = space.granules(bitmap.marks.dirty, bitmap.granularity, size)
                assert bounds.must.word() & ~dirty == 0
                assert dirty & ~bounds.may.word() == 0
    everything: dict[tuple[str, str], Seen | None] = {}
    for node_name, node in plain.nodes.items():
        for name, each in node.bitmaps.items():
            word = space.granules(each.marks.dirty, each.granularity, node.size)
            raw = word.to_bytes(-(-word.bit_length() // 8), "little")
            everything[node_name, name] = Seen(each.granularity, recording(each), busy(each), raw)
    jobs: dict[str, SeenJob | None] = {job_id: SeenJob(phase_of(job), None) for job_id, job in plain.jobs.items()}
    assert asked.observe(Sight(everything, jobs, complete=True)) == []


# Granules


LONGER = st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 9000)), max_size=3)


@given(st.sets(st.integers(0, 200_000)), st.integers(1, 512), LONGER)
def test_granules_are_what_they_are_in_every_form(
    some: set[int], tail: int, longer: list[tuple[int, int]]
) -> None:  # fmt: skip
    size = 200_000 * 4096 + tail
    numbers = some | {n for first, count in longer for n in range(first, min(first + count, 200_001))}
    granules = Granules.from_numbers(sorted(numbers), 4096, size)
    assert list(granules.numbers()) == sorted(numbers)
    assert granules.word() == sum(1 << each for each in numbers)
    assert Granules.from_raw_bits(granules.raw_bits(), 4096, size) == granules
    assert Granules.from_extents(granules.extents(), 4096, size) == granules
    for (offset, length), (after, _) in zip(granules.extents(), granules.extents()[1:], strict=False):
        assert offset + length < after, "as few as possible"
    assert sum(length for _, length in granules.extents()) == sum(min(4096, size - n * 4096) for n in numbers)


@pytest.mark.parametrize("count", [0, 1, 4095, 4096, 4097, 8199, 8200, 8201, 65536])
@pytest.mark.parametrize("from_the_top", [False, True])
def test_raw_bits_of_any_density(count: int, from_the_top: bool) -> None:
    """Around the numbers of bits at which a serialised bitmap changes its form."""
    numbers = range(65536 - count, 65536) if from_the_top else range(count)
    for shift in (0, 65536 * 300):
        granules = Granules.from_numbers([n + shift for n in numbers], 512, 65536 * 302 * 512)
        assert Granules.from_raw_bits(granules.raw_bits(), 512, 65536 * 302 * 512) == granules


class MostlyClear(bytes):
    """A gigabyte of raw bits, all clear but in a few places."""

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, part: Any) -> bytes:
        first, past = part.start, min(part.stop, len(self))
        chunk = bytearray(past - first)
        for at in (0, (1 << 29) - 1, 1 << 29, (1 << 30) - 1):
            if first <= at < past:
                chunk[at - first] = 0x81
        return bytes(chunk)


def test_raw_bits_beyond_32_bits_of_granules() -> None:
    granules = Granules.from_raw_bits(MostlyClear(), 512, 1 << 42)
    middle, end = 1 << 32, 1 << 33
    assert list(granules.numbers()) == [0, 7, middle - 8, middle - 1, middle, middle + 7, end - 8, end - 1]


def test_granules_are_named_shortly() -> None:
    assert Granules.from_numbers([0, 1, 2, 5], 512, MIB).named() == "0-2,5"
    assert Granules.from_numbers([], 512, MIB).named() == "none"
    assert Granules.from_numbers(range(0, 2000, 2), 512, MIB).named(2) == "0,2,… (1,000 granules)"
    with pytest.raises(ValueError, match="not numbers of granules"):
        Granules.from_numbers([1.5], 512, MIB)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="different"):
        Granules.from_numbers([1], 512, MIB) | Granules.from_numbers([1], 1024, MIB)
