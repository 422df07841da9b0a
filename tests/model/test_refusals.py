"""Every kind of refusal can be reached, and leaves the state as it was."""

import typing
from typing import Any

import pytest
from cbtmodel import commands as c
from cbtmodel.refusal import Kind

G = 4096
ADD = c.AddBitmap("d", "b", G)
JOB = c.StartBackup("j", "d", "full", "b", "on-success", cluster=G)
HELD = c.StartBackup("j", "d", "incremental", "b", cluster=G, auto_finalize=False)

REFUSALS: list[tuple[str, str, tuple[Any, ...], Any]] = [
    ("a node that is not there", "not found", (), c.Write("nowhere", 0, 1)),
    ("a bitmap that is not there", "not found", (), c.ClearBitmap("d", "b")),
    ("a job that is not there", "not found", (), c.CancelJob("j")),
    ("a write that is not in flight", "not found", (), c.EndWrite("d", "w")),
    ("a backup with a bitmap that is not there", "not found", (), JOB),
    ("a name that is taken", "exists", (ADD,), ADD),
    ("a job id that is taken", "exists", (ADD, JOB), c.StartBackup("j", "e", "full")),
    ("a write id that is taken", "exists", (c.BeginWrite("d", "w", 0, 1),), c.BeginWrite("d", "w", 0, 1)),
    ("removing a frozen bitmap", "busy", (ADD, JOB), c.RemoveBitmap("d", "b")),
    ("clearing a frozen bitmap", "busy", (ADD, JOB), c.ClearBitmap("d", "b")),
    ("enabling a frozen bitmap", "busy", (ADD, JOB), c.EnableBitmap("d", "b")),
    ("disabling a frozen bitmap", "busy", (ADD, JOB), c.DisableBitmap("d", "b")),
    ("merging into a frozen bitmap", "busy", (ADD, c.AddBitmap("d", "c", G), JOB),
     c.MergeBitmaps("d", "b", (c.Source("d", "c"),))),
    ("merging from a frozen bitmap", "busy", (ADD, c.AddBitmap("d", "c", G), JOB),
     c.MergeBitmaps("d", "c", (c.Source("d", "b"),))),
    ("a second job with a bitmap", "busy", (ADD, JOB), c.StartBackup("k", "d", "incremental", "b")),
    ("using a bitmap that a transaction removes", "busy", (ADD,),
     c.Transaction((c.RemoveBitmap("d", "b"), c.ClearBitmap("d", "b")))),
    ("reusing a name that a transaction frees", "exists", (ADD,), c.Transaction((c.RemoveBitmap("d", "b"), ADD))),
    ("merging between disks of different sizes", "size mismatch", (ADD, c.AddBitmap("small", "s", G)),
     c.MergeBitmaps("d", "b", (c.Source("small", "s"),))),
    ("a granularity that is no power of two", "invalid", (), c.AddBitmap("d", "b", 1000)),
    ("a granularity below a sector", "invalid", (), c.AddBitmap("d", "b", 256)),
    ("a granularity beyond 2 GiB", "invalid", (), c.AddBitmap("d", "b", 1 << 32)),
    ("an empty name", "invalid", (), c.AddBitmap("d", "", G)),
    ("a name of 1,024 bytes", "invalid", (), c.AddBitmap("d", "é" * 512, G)),
    ("a write beyond the end", "invalid", (), c.Write("d", 8 * G - 1, 2)),
    ("an increment without a bitmap", "invalid", (), c.StartBackup("j", "d", "incremental")),
    ("a bitmap without a mode", "invalid", (ADD,), c.StartBackup("j", "d", "bitmap", "b")),
    ("a mode without a bitmap", "invalid", (), c.StartBackup("j", "d", "full", None, "always")),
    ("an increment with mode never", "invalid", (ADD,), c.StartBackup("j", "d", "incremental", "b", "never")),
    ("a full backup with mode never", "invalid", (ADD,), c.StartBackup("j", "d", "full", "b", "never")),
    ("a job id that begins with a digit", "invalid", (), c.StartBackup("1j", "d", "full")),
    ("a cluster that is no power of two", "invalid", (), c.StartBackup("j", "d", "full", cluster=1000)),
    ("a copy of what is copied", "invalid", (ADD, JOB, c.Copy("j", 0, 1)), c.Copy("j", 0, 1)),
    ("the end of a copy that never began", "invalid", (ADD, JOB), c.EndCopy("j")),
    ("a group with anything but backups", "invalid", (ADD,), c.Transaction((c.ClearBitmap("d", "b"),), True)),
    ("a write that is ignored", "invalid", (), c.Write("d", 0, 1, "write", "ignored")),
    ("pausing twice", "wrong phase", (ADD, JOB, c.PauseJob("j")), c.PauseJob("j")),
    ("resuming what runs", "wrong phase", (ADD, JOB), c.ResumeJob("j")),
    ("finalizing what runs", "wrong phase", (ADD, JOB), c.FinalizeJob("j")),
    ("copying while paused", "wrong phase", (ADD, JOB, c.PauseJob("j")), c.Copy("j", 0, 1)),
    ("a second copy in flight", "wrong phase", (ADD, JOB, c.BeginCopy("j", 0, 1)), c.BeginCopy("j", G, 1)),
    ("pausing what is pending", "wrong phase", (ADD, HELD), c.PauseJob("j")),
    ("a transaction that is told to fail", "aborted", (ADD,), c.Transaction((c.ClearBitmap("d", "b"), c.Abort()))),
    ("a write whose old content cannot be saved", "copy failed", (ADD, JOB),
     c.Write("d", 0, 1, "write", "copy failed")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "before", "command"), [each[1:] for each in REFUSALS], ids=[e[0] for e in REFUSALS])
def test_it_is_refused(kind: str, before: tuple[Any, ...], command: Any, story: Any) -> None:
    assert story.do(*before).refused(command) == kind


def test_every_kind_of_refusal_is_in_the_list() -> None:
    assert {kind for _, kind, _, _ in REFUSALS} == set(typing.get_args(Kind))


def test_a_write_that_needs_no_copy_cannot_fail_for_it(story: Any) -> None:
    story.do(ADD, JOB, c.Copy("j", 0, 1), c.Write("d", 0, 1, "write", "copy failed"))


def test_a_merge_of_several_is_all_or_nothing(story: Any) -> None:
    story.do(ADD, c.AddBitmap("e", "b", G), c.AddBitmap("small", "b", G), c.Write("e", 0, 1))
    assert story.refused(c.MergeBitmaps("d", "b", (c.Source("e", "b"), c.Source("small", "b")))) == "size mismatch"
    assert story.dirty() == set()


def test_a_drain_that_a_refused_transaction_would_have_made_does_not_happen(story: Any) -> None:
    story.do(ADD, c.BeginWrite("d", "w", 0, 1))
    story.refused(c.Transaction((c.ClearBitmap("d", "b"), c.Abort())))
    assert list(story.state.nodes["d"].writes) == ["w"]
