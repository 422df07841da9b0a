"""What is said of bitmaps that come out of images, and of what is in their files, where it is not as specified."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cbtcheck.adapter import Observation, Performed, Reply, SeenBitmap, SeenEntry, SeenImage
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtcheck.report.picture import picture_text
from cbtcheck.scenario.scenario import Scenario, Step
from cbtcheck.scenario.verdict import Verdict
from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Persist, Reopen, WrittenByOthers

G = 4096
ADD = Persist(c.AddBitmap("d", "b", G))
WRITE = c.Write("d", 0, 2 * G)
CLOSE, OPEN, CRASH = Close("d"), Open("d"), Crash()


class Pretends(ReferenceAdapter):
    """The reference, which shows something else at the last look."""

    def __init__(self, change: Any, word: int | None = None) -> None:
        super().__init__()
        self.change, self.word, self.looks = change, word, 0

    def observe(self, exact: frozenset[tuple[str, str]] | None = None) -> Observation:
        """Changed, if it is time."""
        self.looks -= 1
        seen = super().observe(exact)
        return seen if self.looks else self.change(seen)

    def bits(self, node: str, name: str) -> int | None:
        """What it pretends."""
        return super().bits(node, name) if self.word is None else self.word


def said(steps: tuple[Step, ...], change: Any, word: int | None = None) -> list[tuple[Verdict, str, str]]:
    adapter = Pretends(change, word)
    adapter.looks = len(steps)
    player = Player(adapter)
    found = player.play_scenario(Scenario({"d": 8 * G}, steps, images=True))
    assert len(player.frames) == len(steps)
    assert picture_text(player.frames)
    return [(each.verdict, each.where, each.seen) for each in found]


def bitmap(**changes: Any) -> Any:
    def changed(seen: Observation) -> Observation:
        return replace(seen, bitmaps={place: replace(each, **changes) for place, each in seen.bitmaps.items()})

    return changed


def appears(**what: Any) -> Any:
    made = SeenBitmap(granularity=G, recording=True, busy=False, persistent=True, inconsistent=False, **what)
    return lambda seen: replace(seen, bitmaps={("d", "b"): made})


def image(how: str, **entries: SeenEntry) -> Any:
    return lambda seen: replace(seen, images={"d": SeenImage(how, entries)})


GONE = lambda seen: replace(seen, bitmaps={})  # noqa: E731
STORED = (ADD, WRITE, CLOSE, OPEN)


def test_what_is_stored_with_two_granules_and_comes_back_with_none_is_unsafe() -> None:
    assert [each[0] for each in said(STORED, bitmap(count=0, digest=None), 0)] == [Verdict.UNSAFE]


def test_what_comes_back_openly_gone_or_inconsistent_is_no_lost_write() -> None:
    assert said(STORED, GONE) == [(Verdict.DIVERGES, "d/b trust", "openly gone")]
    found = said(STORED, bitmap(inconsistent=True, recording=False, count=0))
    assert found == [(Verdict.DIVERGES, "d/b trust", "an inconsistent bitmap")]


def test_a_bitmap_that_disappears_while_the_image_is_open_is_unsafe_still() -> None:
    assert [each[0] for each in said((ADD, WRITE), GONE)] == [Verdict.UNSAFE]


@pytest.mark.parametrize(("word", "verdict"), [(0, Verdict.UNSAFE), (1, Verdict.UNSAFE), (7, Verdict.DIVERGES)])
def test_after_a_crash_a_bitmap_that_seems_sound_has_to_have_what_was_owed(word: int, verdict: Verdict) -> None:
    crashed = (ADD, CLOSE, OPEN, WRITE, CRASH, OPEN)
    found = said(crashed, bitmap(inconsistent=False, recording=True, count=word.bit_count(), digest=None), word)
    assert (found[0][0], found[0][1]) == (verdict, "d/b trust")
    never_stored = (ADD, WRITE, CRASH, OPEN)
    found = said(never_stored, appears(count=word.bit_count()), word)
    assert (found[0][0], found[0][1]) == (verdict, "d/b trust")


def test_after_others_have_written_nothing_can_be_trusted() -> None:
    steps = (ADD, WRITE, CLOSE, WrittenByOthers("d"), OPEN)
    assert said(steps, appears(count=2), 3)[0][0] is Verdict.UNSAFE
    assert said(steps, appears(count=8), 255)[0][0] is Verdict.DIVERGES


VALID = SeenEntry(G, True, False, 3)


@pytest.mark.parametrize(
    ("entry", "verdict"),
    [
        (replace(VALID, bits=1), Verdict.UNSAFE),
        (replace(VALID, enabled=False), Verdict.UNSAFE),
        (replace(VALID, granularity=G // 2), Verdict.UNSAFE),
        (replace(VALID, granularity=2 * G), Verdict.DIVERGES),
        (replace(VALID, in_use=True, bits=0), Verdict.DIVERGES),
        (replace(VALID, bits=7), Verdict.WASTEFUL),
        (replace(VALID, bits=None), None),
        (VALID, None),
    ],
)
def test_what_is_in_the_file_after_a_close(entry: SeenEntry, verdict: Verdict | None) -> None:
    found = said((ADD, WRITE, CLOSE), image("", b=entry))
    assert [each[:2] for each in found] == ([] if verdict is None else [(verdict, "d/b stored")])


def test_an_entry_that_is_valid_while_the_image_is_open_for_writing_is_unsafe() -> None:
    found = said(STORED, image("rw", b=VALID))
    assert [each[:2] for each in found] == [(Verdict.UNSAFE, "d/b stored")]


def test_an_entry_that_should_not_be_there_is_unsafe_if_it_would_be_believed() -> None:
    assert [each[:2] for each in said((ADD, WRITE), image("rw", b=VALID))] == [(Verdict.UNSAFE, "d/b stored")]
    assert said((ADD, WRITE), image("rw", b=replace(VALID, in_use=True)))[0][0] is Verdict.DIVERGES
    others = (ADD, WRITE, CLOSE, WrittenByOthers("d"))
    assert said(others, image("", b=VALID))[0][:2] == (Verdict.UNSAFE, "d/b stored")
    assert said(others, image("", b=replace(VALID, bits=None)))[0][:2] == (Verdict.UNSAFE, "d/b stored")
    assert said(others, image("", b=replace(VALID, bits=255)))[0][:2] == (Verdict.DIVERGES, "d/b stored")


def test_what_is_added_where_nobody_can_write_is_added_or_refused() -> None:
    class Refuses(ReferenceAdapter):
        def happen(self, event: Any, hint: Any) -> Any:
            if isinstance(event, Persist):
                return Performed(((event, Reply("read only", "it is read-only")),))
            return super().happen(event, hint)

    def played(adapter: ReferenceAdapter, *steps: Step) -> list[tuple[Verdict, str]]:
        player = Player(adapter, self_check=True)
        found = player.play_scenario(Scenario({"d": 8 * G}, steps, images=True))
        assert picture_text(player.frames)
        return [(each.verdict, each.where) for each in found]

    readonly = Reopen("d", writable=False)
    for adapter in (Refuses(), ReferenceAdapter()):
        assert played(adapter, readonly, ADD, c.ClearBitmap("d", "x"), CLOSE, OPEN) == []
    assert played(Refuses(), readonly, ADD, ADD) == []
    assert (Verdict.DIVERGES, "Persist") in played(Refuses(), ADD)
    assert (Verdict.DIVERGES, "Persist") in played(Refuses(), readonly, Reopen("d", writable=True), ADD)


def test_entries_that_are_missing_or_too_many_and_how_it_is_open() -> None:
    assert said((ADD, WRITE, CLOSE), image("")) == [(Verdict.DIVERGES, "d/b stored", "no entry")]
    assert said((WRITE, CLOSE), image("", b=VALID))[0][:2] == (Verdict.DIVERGES, "d/b stored")
    readonly = (*STORED, Reopen("d", writable=False))
    assert said(readonly, image("rw", b=VALID)) == [(Verdict.DIVERGES, "image of d", "open for writing")]


def test_whether_it_is_to_be_stored() -> None:
    assert said(STORED, bitmap(persistent=False)) == [(Verdict.DIVERGES, "d/b persistent", "False")]


def test_who_shows_no_more_than_version_1_is_judged_by_that() -> None:
    hidden = lambda seen: replace(bitmap(persistent=None, inconsistent=None)(seen), images=None)  # noqa: E731
    assert said(STORED, hidden) == []
    assert said((*STORED, CRASH, OPEN), hidden) == []
