"""Every command is a line that a person would say, and no value of any field is a crash."""

import dataclasses

import pytest
from cbtcheck.scenario.describe import describe, name_text, size_text
from cbtcheck.scenario.scenario import KINDS, Restore
from cbtmodel import commands as c
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

K = 1024

SAID = [
    (c.AddBitmap("disk0", "b0", 64 * K), "add bitmap disk0/b0 (64K)"),
    (c.AddBitmap("disk0", "b0", 512, enabled=False), "add bitmap disk0/b0 (512, disabled)"),
    (c.RemoveBitmap("disk0", "b0"), "remove disk0/b0"),
    (c.ClearBitmap("disk0", "b0"), "clear disk0/b0"),
    (c.EnableBitmap("disk0", "b0"), "enable disk0/b0"),
    (c.DisableBitmap("disk0", "b0"), "disable disk0/b0"),
    (
        c.MergeBitmaps("disk0", "b0", (c.Source("disk0", "b1"), c.Source("disk1", "b2"))),
        "merge disk0/b1, disk1/b2 into disk0/b0",
    ),
    (c.MergeBitmaps("disk0", "b0", ()), "merge nothing into disk0/b0"),
    (c.StartBackup("j0", "disk0", "full"), "start backup j0 of disk0 (full)"),
    (c.StartBackup("j0", "disk0", "incremental", "b0"), "start backup j0 of disk0 with b0 (incremental)"),
    (
        c.StartBackup("j0", "disk0", "bitmap", "b0", "never", 4 * K, False, "ignore", "stop"),
        "start backup j0 of disk0 with b0 (bitmap, never, clusters of 4K, finalized by hand, on read error ignore, "
        "on write error stop)",
    ),
    (c.PauseJob("j0"), "pause j0"),
    (c.ResumeJob("j0"), "resume j0"),
    (c.CancelJob("j0"), "cancel j0"),
    (c.FinalizeJob("j0"), "finalize j0"),
    (c.Abort(), "abort"),
    (
        c.Transaction((c.ClearBitmap("disk0", "b0"), c.Abort()), grouped=True),
        "grouped transaction: clear disk0/b0; abort",
    ),
    (c.Transaction(()), "transaction: nothing"),
    (c.Write("disk0", 64 * K, 4 * K), "write disk0 64K+4K"),
    (c.Write("disk0", 0, 0, "zeroes", "failed"), "write zeroes to disk0 0+0: failed"),
    (c.Write("disk0", 1000, 1, "discard", "ignored"), "discard disk0 1000+1: ignored"),
    (c.Write("disk0", 0, 512, result="copy failed"), "write disk0 0+512: copy failed"),
    (c.BeginWrite("disk0", "w0", 0, 512), "begin w0: write disk0 0+512"),
    (c.EndWrite("disk0", "w0"), "write w0 to disk0 lands"),
    (c.EndWrite("disk0", "w0", "failed"), "write w0 to disk0 lands: failed"),
    (c.Copy("j0", 128 * K, 512, "write error"), "copy j0 cluster at 128K: write error"),
    (c.Copy("j0", 128 * K, 192 * K), "copy j0 in 128K+192K"),
    (c.BeginCopy("j0", 128 * K, 1), "begin copy j0 cluster at 128K"),
    (c.EndCopy("j0", "read error"), "copy of j0 ends: read error"),
    (Restore(("j0", "j1")), "restore j0, j1 and compare"),
    ("nonsense", "unknown command str"),
]


@pytest.mark.parametrize(("command", "said"), SAID, ids=[said for _, said in SAID])
def test_it_is_said_as_a_person_would(command: object, said: str) -> None:
    assert describe(command) == said


def test_every_kind_of_command_is_among_them() -> None:
    assert {type(command) for command, _ in SAID} >= set(KINDS.values())


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(1 << 80), 1 << 80), st.floats(), st.text(), st.binary(),
    st.lists(st.integers()), st.tuples(st.text()), st.just(c.Abort()), st.just({"a": "\ud800"}),
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.sampled_from(sorted(KINDS)), data=st.data())
def test_whatever_the_fields_hold_there_is_one_printable_line(kind: str, data: st.DataObject) -> None:
    fields = dataclasses.fields(KINDS[kind])
    line = describe(KINDS[kind](*[data.draw(anything) for _ in fields]))
    assert line.isprintable()
    assert line.encode()


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0"), (1023, "1023"), (1024, "1K"), (1536, "1.5K"), (1537, "1537"), (65536, "64K"), (3 << 19, "1.5M"),
     (16 << 40, "16T"), ((1 << 63) - 1, str((1 << 63) - 1)), (-5, "-5"), (True, "True"), (None, "None")],
)  # fmt: skip
def test_sizes_have_binary_units(size: object, text: str) -> None:
    assert size_text(size) == text


def test_an_odd_name_is_seen_to_be_odd() -> None:
    assert name_text("b0") == "b0"
    assert name_text("") == "''"
    assert name_text("a b") == "'a b'"
    assert name_text("a\x1b[31m") == r"'a\x1b[31m'"
    assert name_text("x" * 2000) == "x" * 23 + "…"
