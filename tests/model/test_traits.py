"""What the traits say of a command is what it does, for a sample of each kind; and there is one of each."""

from __future__ import annotations

import subprocess
import sys
import typing

import pytest
from cbtmodel import commands as c
from cbtmodel.alphabet import ON_BITMAP, ON_JOB, SAMPLES, SIZE
from cbtmodel.bitmap import recording
from cbtmodel.blocks import Frozensets
from cbtmodel.node import State, initial
from cbtmodel.step import step
from cbtmodel.traits import TRAITS, changed_bitmap, traits_of, verb

WRITTEN = c.Write("d", 0, 512)
OFF = c.DisableBitmap("d", "a")


def after(*commands: c.Command) -> State[frozenset[int]]:
    """The state that accepted commands lead to."""
    state = initial(Frozensets(), {"d": SIZE})
    for each in commands:
        done = step(state, each)
        assert done.refusal is None, (each, done.refusal)
        state = done.state
    return state


def test_there_is_a_sample_of_each_kind_in_order() -> None:
    assert [type(command) for _, command in SAMPLES] == list(typing.get_args(c.Command))


@pytest.mark.parametrize(("before", "command"), SAMPLES, ids=lambda each: type(each).__name__)
def test_a_sample_does_what_its_traits_say(before: tuple[c.Command, ...], command: c.Command) -> None:
    state, done = after(*before), step(after(*before), command)
    traits, transaction = traits_of(command), isinstance(command, c.Transaction)
    then, now = state.nodes["d"], done.state.nodes["d"]
    assert done.refusal is None
    assert (set(then.bitmaps) != set(now.bitmaps)) == traits.names or transaction
    assert bool(done.state.jobs.keys() - state.jobs.keys()) == traits.starts or transaction
    assert bool(done.ended) == traits.ends
    assert (traits.whose == "guest") == isinstance(command, c.Guest)
    assert (traits.whose == "environment") == isinstance(command, c.Copying)
    assert (traits.reach in ("a job", "a group")) == isinstance(command, c.OfJob)
    assert changed_bitmap(command) == (("d", "a") if traits.reach == "a bitmap" else None)


@pytest.mark.parametrize(("before", "command"), SAMPLES, ids=lambda each: type(each).__name__)
def test_what_a_bitmap_owes_is_waived_and_whether_it_records_is_switched_by_whom_the_traits_say(
    before: tuple[c.Command, ...], command: c.Command
) -> None:
    if isinstance(command, c.AddBitmap | c.Transaction):
        return  # it makes a bitmap where there was none; a transaction does what its actions do
    there = () if any(isinstance(each, c.AddBitmap) for each in before) else (c.AddBitmap("d", "a", 4096),)
    started_without_bitmap = (*there, *before)
    state = after(WRITTEN, *started_without_bitmap[:1], WRITTEN, *started_without_bitmap[1:])
    bitmap = step(state, command).state.nodes["d"].bitmaps.get("a")
    traits = traits_of(command)
    assert (bitmap is None or not bitmap.marks.owed) == traits.waives
    flags = set()
    for off in ((), (OFF,)):
        now = after(*started_without_bitmap, *off)
        heir = step(now, command).state.nodes["d"].bitmaps.get("a")
        flags.add(heir is None or recording(heir) != recording(now.nodes["d"].bitmaps["a"]))
    assert (True in flags) == traits.switches


def test_guest_writes_and_only_they_are_recorded() -> None:
    assert {kind for kind, each in TRAITS.items() if each.records} == set(typing.get_args(c.Guest))


def test_a_command_without_a_row_is_noticed_when_the_traits_are_imported() -> None:
    program = (
        "from cbtmodel import commands as c\n"
        "c.COMMANDS = (*c.COMMANDS, type('FormatDisk', (), {}))\n"
        "import cbtmodel.traits\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "FormatDisk" in ran.stderr


def test_what_is_no_command_has_no_traits() -> None:
    assert traits_of("format-disk") == traits_of(c.Abort())
    assert changed_bitmap(c.Source("d", "a")) is None


def test_a_verb_is_what_an_operator_says() -> None:
    kinds = (*ON_BITMAP, *ON_JOB, c.AddBitmap, c.MergeBitmaps)
    assert {"remove", "clear", "enable", "disable", "pause", "resume", "cancel", "finalize", "add", "merge"} <= {
        verb(kind) for kind in kinds
    }
