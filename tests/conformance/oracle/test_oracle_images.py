"""The oracle on disks that lie in images: it says what the suite says, and what the specification says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from cbtcheck.adapter import Hint, Observation, Performed, SeenEntry, SeenImage
from cbtcheck.adapters.mistakes import NARROW
from cbtcheck.adapters.mistakes.restarts import RESTARTS
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtcheck.oracle import INDEFINITE, Granules, Oracle, OracleError, Seen, Sight
from cbtcheck.oracle import oracle as oracle_module
from cbtcheck.oracle.stored import image_bounds
from cbtcheck.pytest_plugin import PINNED_SEED
from cbtcheck.run.profiles import PROFILES
from cbtcheck.scenario.images import Played
from cbtcheck.scenario.scenario import Restore, Scenario
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.search.restarts import restarts
from cbtcheck.search.restarts.drawn import drawn
from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Persist, Reopen, WrittenByOthers

CLAIMS = ReferenceAdapter.capabilities
ONE_IN, DRAWN = PROFILES["quick"].of_restarts("reference")
PLAYED = restarts(CLAIMS, PINNED_SEED, DRAWN, ONE_IN)

KIB = 1 << 10
SIZE, G = 64 * KIB, 4 * KIB
B = ("d", "b")
ADD = Persist(c.AddBitmap("d", "b", G))
AGAIN = (Close("d"), Open("d"))


def write(granule: int, node: str = "d") -> c.Write:
    return c.Write(node, granule * G, 512)


def told(*steps: Any, disks: tuple[str, ...] = ("d",)) -> Oracle:
    """An oracle to which these have happened, as specified."""
    asked = Oracle(dict.fromkeys(disks, SIZE), images=True)
    for each in steps:
        assert asked.command(each).accepted, each
    return asked


# What the suite says of every scenario that `quick` plays


class Recorder(ReferenceAdapter):
    """The reference, which keeps what it has done and what was seen of it, with all bits."""

    def reset(self, disks: dict[str, int]) -> None:
        """Nothing has happened yet."""
        super().reset(disks)
        self.done: list[Performed] = []
        self.seen: list[Sight] = []

    def perform(self, command: c.Command, hint: Hint) -> Performed:
        """Kept."""
        self.done.append(super().perform(command, hint))
        return self.done[-1]

    def happen(self, event: Any, hint: Hint) -> Performed:
        """Kept."""
        self.done.append(super().happen(event, hint))
        return self.done[-1]

    def observe(self, exact: Any = None) -> Observation:
        """Kept, too."""
        seen = super().observe(exact)
        self.seen.append(sight(self, seen))
        return seen


def sight(adapter: ReferenceAdapter, seen: Observation) -> Sight:
    """What was seen, as it is told to the oracle."""
    sizes = {name: disk.size for name, disk in adapter._driver.disks.items()}
    bitmaps = {}
    for (node, name), each in seen.bitmaps.items():
        assert each.granularity is not None
        bits = Granules.from_word(adapter.bits(node, name) or 0, each.granularity, sizes[node])
        bitmaps[node, name] = Seen(
            each.granularity, each.recording, each.busy, bits, each.count, each.persistent, each.inconsistent
        )
    images = {
        node: replace(image, entries={
            name: replace(each, bits=Granules.from_word(each.bits, each.granularity, sizes[node]).extents())
            for name, each in (image.entries or {}).items()
        })
        for node, image in (seen.images or {}).items()
    }  # fmt: skip
    return Sight(bitmaps, seen.jobs, seen.successors, seen.in_flight, True, images)


def said(findings: list[Finding] | tuple[Finding, ...]) -> set[tuple[Verdict, str, str]]:
    """What is said of what, but of data, of which the oracle sees nothing."""
    return {(each.verdict, each.property, each.where) for each in findings if each.property != "POINT-IN-TIME"}


def compared(adapter: Recorder, scenario: Scenario, seldom: Random | None = None) -> bool:
    """Whether the suite finds something. `AssertionError` if the oracle says anything else at any step.

    `seldom`: the oracle is told no replies, and shown something now and then only, so that guest writes wait.
    """
    player = Player(adapter)
    found = player.play_scenario(scenario)
    asked = Oracle(scenario.disks, images=True)
    frames = [each for each in player.frames if not isinstance(each.asked, Restore)]
    files = [*(each.files for each in frames[1:]), player.files]
    for frame, done, seen, after in zip(frames, adapter.done, adapter.seen, files, strict=True):
        wrong: list[Finding] = []
        for command, reply in done.trace:
            answer = asked.command(command, *(() if seldom else (reply, done.ended)))
            wrong += answer.findings
            assert not seldom or answer.reply.refusal == reply.refusal, frame.asked
        if seldom and seldom.random() < 0.8:
            continue
        wrong += asked.observe(seen)
        assert said(wrong) == said(frame.findings), frame.asked
        if not frame.findings:
            same(asked, player, frame.state, after)
    return bool(found)


def same(asked: Oracle, player: Player, state: Any, files: Any) -> None:
    """Bounds, flags and images are those of the specification on the suite's own sets."""
    places = [(node_name, name) for node_name, node in state.nodes.items() for name in node.bitmaps]
    assert asked.bitmaps() == places
    space = player.space
    for node, name in places:
        bitmap, size, bounds = state.nodes[node].bitmaps[name], state.nodes[node].size, asked.bounds(node, name)
        assert bounds.must.word() == space.granules(bitmap.marks.owed, bitmap.granularity, size)
        assert bounds.may.word() == space.granules(bitmap.marks.dirty, bitmap.granularity, size)
        worth = files.worth(node, name)
        assert (bounds.persistent, bounds.inconsistent) == (bool(worth), worth == "inconsistent")
    for node, image in files.images.items():
        (its,) = asked.image(node)
        opened = files.opened.get(node)
        assert its.open == ("" if opened is None else "rw" if opened.writable else "ro")
        assert list(its.entries) == (list(image.entries) if image.current else [])
        for name, each in its.entries.items():
            entry, size = image.entries[name], image.size
            assert (each.granularity, each.enabled, each.in_use) == (entry.granularity, entry.enabled, entry.in_use)
            owed, dirty = (space.empty,) * 2 if entry.in_use else (entry.marks.owed, entry.marks.dirty)
            assert each.must.word() == space.granules(owed, entry.granularity, size)
            assert each.may.word() == space.granules(dirty, entry.granularity, size)


@pytest.fixture(scope="module")
def right() -> Iterator[Recorder]:
    adapter = Recorder()
    yield adapter
    adapter.close()


PARTS = 12


@pytest.mark.parametrize("part", range(PARTS))
def test_it_says_what_the_suite_says_of_every_restart_that_quick_plays(right: Recorder, part: int) -> None:
    for scenario in [*PLAYED.values()][part::PARTS]:
        assert not compared(right, scenario)
        assert not compared(right, scenario, Random(part))
    assert len(PLAYED) > 500


@pytest.mark.parametrize("name", [name for name, each in NARROW.items() if each.line == RESTARTS])
def test_it_says_what_the_suite_says_of_each_mistake(name: str) -> None:
    """In as many scenarios as it takes until the suite has found it, and some more."""
    adapter = Recorder(NARROW[name].host, name)
    found = 0
    for scenario in Random(name).sample([*PLAYED.values()], len(PLAYED)):
        found += compared(adapter, scenario)
        if found == 2:
            break
    adapter.close()
    assert found


# Mistakes of the oracle itself, which these comparisons find


def forgets_what_waits(patch: pytest.MonkeyPatch) -> None:
    """Guest writes that wait are not given to the specification before a close."""
    happens = Oracle._happens

    def without(self: Oracle, command: Any, reply: Any, ended: Any) -> Any:
        if isinstance(command, Close):
            for buffer in self._buffers.values():
                buffer.taken()
        return happens(self, command, reply, ended)

    patch.setattr(Oracle, "_happens", without)


def gathers_for_closed_disks(patch: pytest.MonkeyPatch) -> None:
    """Writes to a disk wait, whether it can be written to or not."""
    patch.setattr(Oracle, "_is_written_to", lambda self, node: True)


def shows_what_does_not_count(patch: pytest.MonkeyPatch) -> None:
    """What is in an entry is told also where others have written."""

    def shown(space: Any, files: Any, node: str) -> Any:
        image = replace(files.images[node], current=True)
        return image_bounds(space, replace(files, images=files.images.put(node, image)), node)

    patch.setattr(oracle_module, "image_bounds", shown)


def takes_no_notice_of_images(patch: pytest.MonkeyPatch) -> None:
    """What is seen of images is not judged."""
    judged = oracle_module.judged
    patch.setattr(oracle_module, "judged", lambda space, state, sight, shown, files: (
        judged(space, state, replace(sight, images=None, bitmaps={
            place: replace(each, persistent=None, inconsistent=None) for place, each in sight.bitmaps.items()
        }), shown, files)
    ))  # fmt: skip


OF_ITS_OWN = [forgets_what_waits, gathers_for_closed_disks, shows_what_does_not_count, takes_no_notice_of_images]


@pytest.mark.parametrize("mistake", OF_ITS_OWN, ids=lambda each: each.__name__)
def test_a_mistake_of_the_oracle_is_found(
    mistake: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    adapters = [Recorder(), Recorder(NARROW["no-in-use-mark"].host, "no-in-use-mark")]
    with pytest.raises((AssertionError, KeyError)):
        compared_until_it_differs(adapters)
    for each in adapters:
        each.close()


def compared_until_it_differs(adapters: list[Recorder]) -> None:
    right, wrong = adapters
    for number, scenario in enumerate(Random(2).sample([*PLAYED.values()], len(PLAYED))):
        compared(right, scenario, Random(number))
        compared(right, scenario)
        compared(wrong, scenario)


# Where it is not known what has happened


def accused(seed: int) -> bool:
    """Whether the oracle finds something wrong with the reference, of which some answers get lost."""
    random, adapter = Random(seed), ReferenceAdapter()
    scenario = drawn(CLAIMS, 7, seed)
    adapter.reset_in_images(scenario.disks)
    asked = Oracle(scenario.disks, images=True)
    found = False
    for step in scenario.commands:
        assert not isinstance(step, Restore)
        lost, happens = random.random() < 0.3, random.random() < 0.5
        reply = INDEFINITE
        if happens or not lost:
            done = do(adapter, step)
            reply = INDEFINITE if lost else done.trace[-1][1]
        answer = asked.command(step, reply)
        found |= bool(answer.findings)
        if random.random() < 0.6:
            found |= bool(asked.observe(sight(adapter, adapter.observe())))
    adapter.close()
    return found


@pytest.mark.parametrize("seed", range(30))
def test_the_reference_is_never_accused_if_answers_get_lost(seed: int) -> None:
    assert not accused(seed)


@pytest.mark.parametrize("half", ["it has happened", "it has not"])
def test_it_would_be_accused_if_only_one_half_were_followed(half: str, monkeypatch: pytest.MonkeyPatch) -> None:
    follow = oracle_module.follow

    def one(worlds: Any, command: Any, reply: Any) -> Any:
        if reply is None or reply.definite:
            return follow(worlds, command, reply)
        return follow(worlds, command, None) if half == "it has happened" else worlds

    monkeypatch.setattr(oracle_module, "follow", one)
    assert any(accused(seed) for seed in range(30))


def do(adapter: ReferenceAdapter, step: Played) -> Performed:
    hint: Any = Hint(None, 1)  # type: ignore[arg-type]
    return adapter.perform(step, hint) if isinstance(step, c.Command) else adapter.happen(step, hint)


def test_both_are_followed_if_a_close_is_not_answered() -> None:
    asked = told(ADD, write(1), *AGAIN, write(2))
    assert asked.command(Close("d"), INDEFINITE).worlds == 2
    bounds = asked.bounds(*B)
    assert (len(bounds.must), bounds.may.extents(), bounds.persistent) == (0, [(G, 2 * G)], True)
    closed, open_still = asked.image("d")
    assert (closed.open, closed.entries["b"].in_use, closed.entries["b"].must.extents()) == ("", False, [(G, 2 * G)])
    assert (open_still.open, open_still.entries["b"].in_use, len(open_still.entries["b"].may)) == ("rw", True, 0)
    assert asked.command(write(3)).others, "refused, or accepted"
    assert asked.observe(Sight(images={"d": SeenImage("rw")})) == []
    assert asked.bounds(*B).must.extents() == [(G, 3 * G)]
    assert len(asked.image("d")) == 1


def test_an_indefinite_crash_is_decided_by_a_flag() -> None:
    asked = told(ADD, write(1), *AGAIN)
    asked.command(Crash(), INDEFINITE)
    asked.command(Open("d"))
    assert len(asked.states) == 2
    assert asked.bounds(*B).inconsistent
    assert asked.observe_bitmap(*B, inconsistent=True) == []
    assert asked.command(c.ClearBitmap(*B)).reply.refusal == "inconsistent"
    assert asked.observe_bitmap(*B, inconsistent=False, granularity=G, bits=[(G, G)])[0].verdict is Verdict.DIVERGES


# What is asked, step by step


def test_what_is_stored_and_what_must_come_back() -> None:
    asked = told(ADD, write(1), c.AddBitmap("d", "t", G))
    assert asked.image("d")[0].entries == {}
    assert (asked.bounds(*B).persistent, asked.bounds("d", "t").persistent) == (True, False)
    asked.command(Close("d"))
    (image,) = asked.image("d")
    entry = image.entries["b"]
    assert (image.open, [*image.entries], entry.in_use, entry.enabled) == ("", ["b"], False, True)
    assert entry.must.extents() == entry.may.extents() == [(G, G)]
    with pytest.raises(OracleError, match="there is no bitmap 'd/b'"):
        asked.bounds(*B)
    assert asked.bitmaps() == []
    asked.command(Open("d"))
    assert asked.bitmaps() == [B]
    assert asked.bounds(*B).must.extents() == [(G, G)]
    assert asked.image("d")[0].entries["b"].in_use


def test_writes_are_gathered_only_while_the_disk_is_open_for_writing() -> None:
    asked = told(ADD, disks=("d", "e"))
    assert asked.write("d", 0, 512).accepted
    asked.command(Reopen("d", writable=False))
    assert asked.write("d", G, 512).reply.refusal == "read only"
    with pytest.raises(OracleError, match="disk 'd' is not open for writing"):
        asked.writes("d", [0], 512)
    assert asked.write("e", G, 512).accepted
    asked.command(Close("d"))
    assert asked.write("d", G, 512).reply.refusal == "not found"
    asked.command(Open("d"))
    asked.writes("d", [2 * G, 4 * G], 512)
    assert asked.bounds(*B).must.extents() == [(0, G), (2 * G, G), (4 * G, G)]
    asked.command(Close("d"), INDEFINITE)
    assert asked.write("d", 0, 512).worlds == 2
    with pytest.raises(OracleError, match="disk 'x' is not there"):
        asked.writes("x", [0], 512)


def test_a_bitmap_that_is_not_there_is_openly_gone_until_somebody_has_looked() -> None:
    gone = told(ADD, write(1), *AGAIN, write(2))
    assert [each.verdict for each in gone.observe_no_bitmap(*B)] == [Verdict.DIVERGES]
    lost = told(ADD, write(1), *AGAIN, write(2))
    assert lost.observe_bitmap(*B, persistent=True) == []
    assert [each.verdict for each in lost.observe_no_bitmap(*B)] == [Verdict.UNSAFE]


@pytest.mark.parametrize(("bits", "verdict"), [([], Verdict.UNSAFE), ([(G, 2 * G)], Verdict.DIVERGES)])
def test_what_seems_sound_after_a_crash_has_to_have_what_was_owed(bits: list[Any], verdict: Verdict) -> None:
    for asked in (told(ADD, write(1), *AGAIN, write(2), Crash(), Open("d")), told(ADD, write(1), write(2), Crash(),
                                                                                   Open("d"))):  # fmt: skip
        seen = Seen(G, True, False, bits, None, True, False)
        found = asked.observe(Sight({B: seen}))
        assert [(each.verdict, each.property) for each in found] == [(verdict, "RULE-DISK")]


ENTRY = SeenEntry(G, True, False, [(G, G)])


@pytest.mark.parametrize(
    ("seen", "verdicts"),
    [
        (SeenImage("", {"b": ENTRY}), []), (SeenImage(""), []), (SeenImage("rw"), [Verdict.DIVERGES]),
        (SeenImage("", {}), [Verdict.DIVERGES]), (SeenImage("", {"b": replace(ENTRY, bits=None)}), []),
        (SeenImage("", {"b": replace(ENTRY, bits=b"\2")}), []),
        (SeenImage("", {"b": replace(ENTRY, bits=iter([]))}), [Verdict.UNSAFE]),
        (SeenImage("", {"b": replace(ENTRY, bits=b"\6")}), [Verdict.WASTEFUL]),
        (SeenImage("", {"b": replace(ENTRY, in_use=True)}), [Verdict.DIVERGES]),
        (SeenImage("", {"b": replace(ENTRY, enabled=False)}), [Verdict.UNSAFE]),
        (SeenImage("", {"b": ENTRY, "c": ENTRY}), [Verdict.DIVERGES]),
    ],
)  # fmt: skip
def test_what_was_seen_of_a_file_is_judged(seen: SeenImage, verdicts: list[Verdict]) -> None:
    asked = told(ADD, write(1), Close("d"))
    assert [each.verdict for each in asked.observe(Sight(images={"d": seen}))] == verdicts


def test_large_disks_and_blocks() -> None:
    asked = Oracle({"d": 16 << 40}, block=65536, images=True)
    asked.command(Persist(c.AddBitmap("d", "b", 65536)))
    asked.writes("d", range(0, 16 << 40, 1 << 34), 4096)
    asked.command(Close("d"))
    (image,) = asked.image("d")
    assert len(image.entries["b"].must) == 1024
    assert asked.observe(Sight(images={"d": SeenImage("", {"b": SeenEntry(65536, True, False, [])})}))
    with pytest.raises(OracleError, match="granules of 4096 bytes cannot be told apart in blocks of 65536"):
        asked.observe(Sight(images={"d": SeenImage("", {"b": SeenEntry(4096, True, False, [])})}))
    asked.command(Open("d"))
    with pytest.raises(OracleError, match="4096 bytes cannot be told apart"):
        asked.command(Persist(c.AddBitmap("d", "c", 4096)))


# What cannot be


EVENTS: list[Any] = [Close("d"), Open("d"), Reopen("d", writable=False), Crash(), WrittenByOthers("d"), ADD]


@pytest.mark.parametrize("event", EVENTS, ids=lambda each: type(each).__name__)
def test_images_have_to_be_asked_for(event: Any) -> None:
    asked = Oracle({"d": SIZE})
    with pytest.raises(OracleError, match=r"needs disks that lie in images: say Oracle\(disks, images=True\)"):
        asked.command(event)
    with pytest.raises(OracleError, match="the disks lie in no images"):
        asked.image("d")
    assert asked.command(c.AddBitmap("d", "b", G)).accepted
    for seen in (Sight(images={}), Sight({B: Seen(persistent=True)}), Sight({B: Seen(inconsistent=False)})):
        with pytest.raises(OracleError, match="the disks lie in no images"):
            asked.observe(seen)


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (Close("d", fails=True), "'close': what is left by a request that fails is the business of 'cbtspec crash'"),
        (Open("d", fails="in use"), "'open': what is left by a request that fails"),
        (Reopen("d", True, fails=True), "'reopen': what is left"),
        (Open("d", writable=1), "'open' is malformed"), (Close(["d"]), "'close' is malformed"),
        (WrittenByOthers(None), "'written-by-others' is malformed"), (Persist(write(0)), "'persistent' is malformed"),
        (Restore(()), "Restore is no command"),
        ({"do": "close", "node": "d", "fails": True}, "'close' has no 'fails'"),
        ({"do": "add-bitmap", "node": "d", "name": "b", "granularity": G, "persistent": 1}, "must be true or false"),
        ({"do": "transaction", "actions": [{"do": "crash"}]}, "'crash' is no action of a transaction"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_an_error_and_changes_nothing(event: Any, why: str) -> None:
    asked = told(ADD, write(1))
    before = asked.states
    with pytest.raises(OracleError) as refused:
        asked.command(event)
    assert why in str(refused.value)
    assert asked.states == before


@pytest.mark.parametrize("event", [Close("x"), Open("x"), Reopen("x", True), WrittenByOthers("x")])
def test_a_disk_without_an_image_is_not_found(event: Any) -> None:
    answer = told(ADD).command(event)
    assert (answer.reply.refusal, answer.reply.text.partition(":")[0]) == ("not found", type(event).__name__)


def test_what_was_seen_of_a_disk_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OracleError, match="there is no disk 'x'"):
        told(ADD).observe(Sight(images={"x": SeenImage("")}))
    with pytest.raises(OracleError, match="there is no disk 'x'"):
        told(ADD).image("x")


BACKED_UP = (ADD, c.StartBackup("full", "d", "full", cluster=G), c.Copy("full", 0, SIZE), write(0))
INCREMENT = (c.StartBackup("one", "d", "incremental", "b", cluster=G), c.Copy("one", 0, SIZE))


def test_chains_are_followed_across_restarts() -> None:
    [table] = told(*BACKED_UP, *AGAIN, *INCREMENT, Close("d")).chains()
    assert [row.gives for row in table.rows] == ["restores", "restores"]
    [table] = told(*BACKED_UP, Crash(), Open("d"), ADD, write(1), *INCREMENT).chains()
    assert [row.gives for row in table.rows] == ["restores", "does not restore"]
    assert [(each.why, each.blame.number) for each in table.rows[-1].lost] == [("d/b was gone with a crash", 4)]


def test_they_are_in_each_history_that_is_possible() -> None:
    oracle = told(*BACKED_UP)
    oracle.command(Crash(), INDEFINITE)
    tables = oracle.chains()
    assert sorted(len(each.no_increment) for each in tables) == [0, 1]
    oracle.observe(Sight(images={"d": SeenImage("")}))
    [table] = oracle.chains()
    assert [(each.bitmap, each.at.number) for each in table.no_increment] == [("b", 4)]
