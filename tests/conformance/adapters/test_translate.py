"""QEMU's texts are recognised, each as one kind of refusal, and commands are said in QMP."""

import re
from typing import Any, get_args

import pytest
from cbtmodel import commands as c
from cbtmodel.commands import Command
from cbtmodel.refusal import Kind
from cbtwire.qmp import CLUSTER, KINDS_OF_REFUSALS, as_action, backups_in, kind_of_refusal, to_qmp

TEXTS = {
    # lookups
    "Node 'x' not found": "not found",
    "Dirty bitmap 'x' not found": "not found",
    "Bitmap 'x' could not be found": "not found",
    "Cannot find device='x' nor node-name='x'": "not found",
    "Cannot find device='' nor node-name=''": "not found",
    "Job not found": "not found",
    # in use
    "Bitmap 'x' is currently in use by another operation and cannot be used": "busy",
    # names that are taken
    "Bitmap already exists: x": "exists",
    "Job ID 'x' already in use": "exists",
    # merges
    "Bitmaps are of different sizes (destination size is 1048576, source size is 329216) and can't be merged":
        "size mismatch",
    "Bitmaps are incompatible and can't be merged": "size mismatch",  # until 7.0
    # form
    "Bitmap name cannot be empty": "invalid",
    "Bitmap name too long: xxx": "invalid",
    "Granularity must be power of 2 and at least 512": "invalid",
    "Parameter 'granularity' expects uint32_t": "invalid",
    "Parameter 'granularity' expects uint64": "invalid",
    "Invalid parameter type for 'name', expected: string": "invalid",
    "Invalid parameter type for 'null', expected: BlockDirtyBitmapOrStr": "invalid",
    "Parameter 'name' is missing": "invalid",
    "Parameter 'actions[0].data.name' is missing": "invalid",
    "Parameter 'sync' does not accept value 'foo'": "invalid",
    "Parameter 'bitmap-mode' does not accept value 'foo'": "invalid",
    # backups
    "must provide a valid bitmap name for 'incremental' sync mode": "invalid",
    "must provide a valid bitmap name for 'bitmap' sync mode": "invalid",
    "Bitmap sync mode must be given when providing a bitmap": "invalid",
    "Bitmap sync mode must be 'on-success' when using sync mode 'incremental'": "invalid",
    "Bitmap sync mode 'never' has no meaningful effect when combined with sync mode 'full'": "invalid",
    "Cannot specify bitmap sync mode without a bitmap": "invalid",
    "Invalid job ID '1'": "invalid",
    "Invalid job ID ''": "invalid",
    # transactions
    "Transaction aborted using Abort action": "aborted",
    "Action 'block-dirty-bitmap-clear' does not support Transaction property completion-mode = grouped": "invalid",
    "Action 'block-dirty-bitmap-clear' does not support transaction property completion-mode = grouped": "invalid",
    # jobs
    "Job 'x' in state 'running' cannot accept command verb 'finalize'": "wrong phase",
    "Job 'x' in state 'concluded' cannot accept command verb 'cancel'": "wrong phase",
    "Job is already paused": "wrong phase",
    "Can't resume a job that was not paused": "wrong phase",
}  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), TEXTS.items())
def test_a_text_of_qemu_has_a_kind(text: str, kind: str) -> None:
    assert kind_of_refusal(text) == kind


@pytest.mark.parametrize("name", ["not found", "already paused", "name too long", "is missing"])
def test_a_name_that_reads_like_another_refusal_does_not_hide_that_a_bitmap_is_in_use(name: str) -> None:
    text = f"Bitmap '{name}' is currently in use by another operation and cannot be used"
    assert kind_of_refusal(text) == "busy"


@pytest.mark.parametrize("text", ["", "Input/output error", "Source and target cannot be the same"])
def test_any_other_text_is_not_recognised_and_so_a_disagreement(text: str) -> None:
    assert kind_of_refusal(text) == "?"


def test_every_kind_that_is_given_is_one_of_the_specification() -> None:
    assert {kind for _, kind in KINDS_OF_REFUSALS} <= set(get_args(Kind))


def test_every_text_that_is_looked_for_is_one_of_these() -> None:
    """Without this line of the table some text is not recognised, or as something else."""
    for pattern, kind in KINDS_OF_REFUSALS:
        for part in pattern.split("|"):
            assert any(re.search(part, text) and TEXTS[text] == kind for text in TEXTS), part


# Commands

PLACES: dict[str, Any] = {"target": "t0", "filter-node-name": "f1"}
PERF = {"max-workers": 1, "max-chunk": CLUSTER}
BACKUP: dict[str, Any] = {"device": "D", "job-id": "j", "x-perf": PERF, **PLACES}


def qmp(command: Command) -> Any:
    return to_qmp(command, lambda name: name.upper(), lambda backup: PLACES)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (c.AddBitmap("d", "b", 512), ("block-dirty-bitmap-add", {"node": "D", "name": "b", "granularity": 512})),
        (c.AddBitmap("d", "b", 512, False),
         ("block-dirty-bitmap-add", {"node": "D", "name": "b", "granularity": 512, "disabled": True})),
        (c.RemoveBitmap("d", "b"), ("block-dirty-bitmap-remove", {"node": "D", "name": "b"})),
        (c.ClearBitmap("d", "b"), ("block-dirty-bitmap-clear", {"node": "D", "name": "b"})),
        (c.EnableBitmap("d", "b"), ("block-dirty-bitmap-enable", {"node": "D", "name": "b"})),
        (c.DisableBitmap("d", "b"), ("block-dirty-bitmap-disable", {"node": "D", "name": "b"})),
        (c.MergeBitmaps("d", "b", (c.Source("d", "x"), c.Source("e", "y"))),
         ("block-dirty-bitmap-merge", {"node": "D", "target": "b", "bitmaps": ["x", {"node": "E", "name": "y"}]})),
        (c.StartBackup("j", "d", "full"), ("blockdev-backup", BACKUP | {"sync": "full"})),
        (c.StartBackup("j", "d", "bitmap", "b", "never", 4096, False, "stop", "ignore"),
         ("blockdev-backup", BACKUP | {"sync": "bitmap", "bitmap": "b", "bitmap-mode": "never",
          "auto-finalize": False, "on-source-error": "stop", "on-target-error": "ignore"})),
        (c.PauseJob("j"), ("job-pause", {"id": "j"})),
        (c.ResumeJob("j"), ("job-resume", {"id": "j"})),
        (c.CancelJob("j"), ("job-cancel", {"id": "j"})),
        (c.FinalizeJob("j"), ("job-finalize", {"id": "j"})),
        (c.Transaction(()), ("transaction", {"actions": []})),
        (c.Transaction((c.Abort(), c.ClearBitmap("d", "b")), True),
         ("transaction", {"actions": [{"type": "abort", "data": {}},
          {"type": "block-dirty-bitmap-clear", "data": {"node": "D", "name": "b"}}],
          "properties": {"completion-mode": "grouped"}})),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Command) else "",
)  # fmt: skip
def test_a_command_is_said_in_qmp(command: Command, expected: Any) -> None:
    assert qmp(command) == expected


@pytest.mark.parametrize(
    "command",
    [c.Write("d", 0, 1), c.BeginWrite("d", "w", 0, 1), c.EndWrite("d", "w"),
     c.Copy("j", 0, 1), c.BeginCopy("j", 0, 1), c.EndCopy("j")],
)  # fmt: skip
def test_what_guests_and_jobs_do_is_no_command_of_the_monitor(command: Command) -> None:
    assert qmp(command) is None


def test_every_other_command_has_a_translation() -> None:
    operators = {kind.__name__ for kind in get_args(Command)} - {
        "Write", "BeginWrite", "EndWrite", "Copy", "BeginCopy", "EndCopy",
    }  # fmt: skip
    source = {"AddBitmap", "RemoveBitmap", "ClearBitmap", "EnableBitmap", "DisableBitmap", "MergeBitmaps",
              "StartBackup", "PauseJob", "ResumeJob", "CancelJob", "FinalizeJob", "Transaction"}  # fmt: skip
    assert operators == source, "a new command needs a translation, and a line above"


def test_the_backups_of_a_transaction_are_found_in_order() -> None:
    one, two = c.StartBackup("j", "d", "full"), c.StartBackup("k", "e", "full")
    assert backups_in(c.Transaction((one, c.Abort(), two))) == [one, two]
    assert backups_in(one) == [one]
    assert backups_in(c.Abort()) == backups_in(c.CancelJob("j")) == []


def test_each_backup_of_a_transaction_gets_a_place_of_its_own() -> None:
    places = iter([{"target": "t0"}, {"target": "t1"}])
    backups = tuple(c.StartBackup(job, "d", "full") for job in "jk")
    said: Any = to_qmp(c.Transaction(backups), str, lambda backup: next(places))
    assert [each["data"]["target"] for each in said[1]["actions"]] == ["t0", "t1"]
    assert as_action(c.Abort(), str, lambda backup: {}) == {"type": "abort", "data": {}}
