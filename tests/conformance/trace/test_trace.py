"""Traces in our own format: what is allowed and what is not, each rule of concurrency, bad input, and long traces."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import digest
from cbtcheck.cli.command import main
from cbtcheck.sets.between import Between, at_most, exactly, outcomes
from cbtcheck.trace import schema
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

K64 = 65536
SIZE = 8 * K64
HEAD: dict[str, Any] = {"format": "cbtspec-trace", "version": 1, "block": 512, "disks": {"d": SIZE}}
Line = dict[str, Any]


def do(name: str, /, **members: Any) -> Line:
    return {"do": name, **members}


def add(name: str = "b", **more: Any) -> Line:
    return do("add-bitmap", node="d", name=name, granularity=K64, **more)


def write(granule: int, **more: Any) -> Line:
    return do("write", node="d", offset=granule * K64, length=1, **more)


def see(*granules: int, name: str = "b", **more: Any) -> Line:
    dirty = [[each * K64, K64] for each in granules]
    return {"see": "bitmaps", "node": "d", "bitmaps": {name: {"dirty": dirty}}, **more}


def see_flags(name: str = "b", /, when: Line | None = None, **flags: Any) -> Line:
    return {"see": "bitmaps", "node": "d", "bitmaps": {name: flags}, **(when or {})}


def start(job: str = "j", bitmap: str = "b", **more: Any) -> Line:
    return do("start-backup", job=job, node="d", sync="incremental", bitmap=bitmap, **more)


def during(begin: float, end: float) -> Line:
    return {"begin": begin, "end": end}


def judged(*entries: Line, head: Line | None = None, **options: Any) -> TraceReport:
    text = "".join(json.dumps(each) + "\n" for each in [HEAD | (head or {}), *entries])
    return verify(io.BytesIO(text.encode()), Options(**options))


def verdicts(report: TraceReport) -> list[tuple[int, str]]:
    return [(line, each.verdict.value) for line, each in report.findings]


def allows(*entries: Line, head: Line | None = None) -> bool:
    return judged(*entries, head=head).number == 0


# One thing after the other


def test_what_was_written_is_dirty_and_nothing_else() -> None:
    begun = [add(), write(1), write(3)]
    assert judged(*begun, see(1, 3)).conformant
    assert verdicts(judged(*begun, see(1))) == [(5, "unsafe")]
    assert verdicts(judged(*begun, see(1, 3, 4))) == [(5, "wasteful")]
    assert verdicts(judged(*begun, see(2, 3))) == [(5, "unsafe"), (5, "wasteful")]


def test_a_finding_names_the_property_the_bounds_and_what_was_seen() -> None:
    ((line, finding),) = judged(add(), write(1), write(3), see(1)).findings
    assert (line, finding.property, finding.where) == (5, "NO-LOST-WRITE", "d/b bits")
    assert finding.expected == "at least granules of 65536: 1,3"
    assert finding.seen == "granules 1"


def test_a_byte_order_mark_is_refused_with_the_reason() -> None:
    with pytest.raises(TraceProblem, match="byte order mark"):
        verify(io.BytesIO(b"\xef\xbb\xbf{}"), Options())


def test_counts_are_in_bytes_and_digests_are_qemus() -> None:
    begun = [add(), write(1), write(3)]
    right = digest(0b1010, 8)
    assert judged(*begun, see_flags(count=2 * K64, sha256=right)).conformant
    assert verdicts(judged(*begun, see_flags(count=K64))) == [(5, "unsafe")]
    assert verdicts(judged(*begun, see_flags(count=3 * K64))) == [(5, "wasteful")]
    assert verdicts(judged(*begun, see_flags(count=2 * K64 + 1))) == [(5, "wasteful")]
    assert verdicts(judged(*begun, see_flags(count=2 * K64, sha256=digest(0b0110, 8)))) == [(5, "unsafe")]
    assert verdicts(judged(*begun, see_flags(sha256=digest(0b0110, 8)))) == [(5, "diverges")]


def test_flags_and_names_are_judged() -> None:
    begun = [add(), add("c", enabled=False)]
    everything = {"b": {"granularity": K64, "recording": True, "busy": False}, "c": {"recording": False}}

    def look(bitmaps: Line) -> Line:
        return {"see": "bitmaps", "node": "d", "bitmaps": bitmaps, "all": True}

    assert judged(*begun, look(everything)).conformant
    assert verdicts(judged(*begun, look(everything | {"b": {"recording": False}}))) == [(4, "unsafe")]
    assert verdicts(judged(*begun, look(everything | {"c": {"recording": True}}))) == [(4, "diverges")]
    assert verdicts(judged(*begun, look(everything | {"x": {}}))) == [(4, "diverges")]
    assert verdicts(judged(*begun, look({"b": {}}))) == [(4, "diverges")]


def test_replies_are_judged() -> None:
    assert judged(add(), add(reply="exists")).conformant
    assert verdicts(judged(add(), add())) == [(3, "diverges")]
    assert verdicts(judged(add(reply="busy"))) == [(2, "diverges")]
    assert allows(write(7), do("write", node="d", offset=SIZE, length=1, reply="invalid"))
    assert verdicts(judged(do("write", node="d", offset=SIZE, length=1))) == [(2, "diverges")]


def test_an_indefinite_reply_leaves_both_worlds_until_one_is_seen() -> None:
    begun = [add(), write(1), do("clear-bitmap", node="d", name="b", reply="indefinite")]
    assert allows(*begun, see())
    assert allows(*begun, see(1))
    assert verdicts(judged(*begun, see(1), see())) == [(6, "unsafe")]
    assert verdicts(judged(*begun, see(), see(1))) == [(6, "wasteful")]
    perhaps = [add(), write(1, reply="indefinite")]
    assert allows(*perhaps, see())
    assert allows(*perhaps, see(1))
    assert verdicts(judged(*perhaps, see(2))) == [(4, "wasteful")]


def test_recorded_copies_end_jobs_where_the_specification_says() -> None:
    begun = [add(), write(1), start()]
    whole = do("copy", job="j", offset=0, length=SIZE)
    assert allows(*begun, write(2), whole | {"ended": {"j": "completed"}}, see(2))
    assert verdicts(judged(*begun, whole)) == [(5, "diverges")]
    assert verdicts(judged(*begun, whole | {"ended": {"j": "failed"}})) == [(5, "diverges")]
    failed = whole | {"result": "write error", "ended": {"j": "failed"}}
    assert allows(*begun, write(2), failed, see(1, 2))
    assert verdicts(judged(*begun, do("copy", job="j", offset=0, length=1, reply="invalid"))) == []
    assert verdicts(judged(*begun, whole | {"result": "write error", "ended": {"j": "completed"}})) == [(5, "unsafe")]


def test_what_a_cancelled_full_backup_of_mode_always_did_not_copy_must_be_dirty() -> None:
    full = do("start-backup", job="j", node="d", sync="full", bitmap="b", bitmap_mode="always")
    copy = do("copy", job="j", offset=0, length=K64)
    begun = [add(), full, copy, do("cancel-job", job="j", ended={"j": "cancelled"})]
    assert judged(*begun, see(*range(1, 8))).conformant
    report = judged(*begun, see())
    assert verdicts(report) == [(6, "unsafe")]
    assert report.findings[0][1].property == "NO-LOST-WRITE"
    assert report.findings[0][1].expected == "at least granules of 65536: 1-7"
    unknown = [each for each in begun if each is not copy]
    assert judged(*unknown, see(), head={"copies": "unknown"}).conformant, "it may have copied everything"


def test_a_job_that_a_guest_write_ends_must_be_told() -> None:
    begun = [add(), write(1), start()]
    assert allows(*begun, write(1, ended={"j": "completed"}), see(1))
    assert [each.where for _, each in judged(*begun, write(1), see(1)).findings] == ["jobs ended"]


UNKNOWN = {"copies": "unknown"}


def test_unknown_copies_leave_to_the_trace_when_a_job_ends() -> None:
    begun = [add(), write(1), start(), write(1), see_flags(busy=True)]
    assert allows(*begun, {"ended": {"j": "completed"}}, see(1), head=UNKNOWN)
    assert allows(*begun, {"ended": {"j": "failed"}}, see(1), head=UNKNOWN)
    assert not allows(*begun, {"ended": {"k": "failed"}}, head=UNKNOWN)
    empty = [add(), start(), see_flags(busy=True), {"ended": {"j": "completed"}}, see_flags(busy=False)]
    assert allows(*empty, head=UNKNOWN)


def test_jobs_are_seen() -> None:
    begun = [add(), write(1), start()]

    def look(**jobs: str) -> Line:
        return {"see": "jobs", "jobs": jobs, "all": True}

    assert allows(*begun, look(j="running"))
    assert verdicts(judged(*begun, look(j="paused"))) == [(5, "diverges")]
    assert verdicts(judged(*begun, look())) == [(5, "diverges")]
    assert verdicts(judged(*begun, look(j="running", k="running"))) == [(5, "diverges")]


# What overlaps


def overlapped(control: Line, *after: Line, before: tuple[Line, ...] = ()) -> list[Line]:
    """A write of granule 5 while a command is under way."""
    begun = [line | {"at": at} for at, line in enumerate((add(), *before))]
    late = [line | {"at": 100 + at} for at, line in enumerate(after)]
    return [*begun, write(5, **during(10, 20)), control | during(15, 25), *late]


def test_a_write_that_overlaps_a_clear_may_be_in_or_not() -> None:
    clear = do("clear-bitmap", node="d", name="b")
    assert allows(*overlapped(clear, see(5), before=(write(1),)))
    assert allows(*overlapped(clear, see(), before=(write(1),)))
    assert not allows(*overlapped(clear, see(1), before=(write(1),)))
    assert not allows(*overlapped(clear, see(4), before=(write(1),)))


def test_what_was_seen_once_of_an_uncertain_write_holds() -> None:
    clear = do("clear-bitmap", node="d", name="b")
    assert not allows(*overlapped(clear, see(), see(5)))
    assert allows(*overlapped(clear, see(5), see(5)))


def test_what_was_seen_once_holds_also_when_something_else_is_written() -> None:
    clear = do("clear-bitmap", node="d", name="b")
    assert not allows(*overlapped(clear, see(), write(1), see(1, 5)))
    assert allows(*overlapped(clear, see(5), write(1), see(1, 5)))


def test_a_write_may_begin_before_the_end_of_a_job_and_end_after_what_follows() -> None:
    """So the job has copied for it, and the bitmap, which does not record any more, does not have it."""
    begun = [add(at=0), write(1, at=1), write(3, at=2), start(at=10) | {"sync": "bitmap", "bitmap_mode": "always"},
             write(1, **during(20, 60)),
             do("copy", job="j", offset=0, length=SIZE, result="write error", ended={"j": "failed"}, at=30),
             do("disable-bitmap", node="d", name="b", at=40)]  # fmt: skip
    assert allows(*begun, see(3, at=100))
    assert allows(*begun, see(1, 3, at=100))
    assert not allows(*begun, see(1, at=100))


def test_a_write_that_overlaps_a_disable_or_an_enable_may_be_in_or_not() -> None:
    disable = do("disable-bitmap", node="d", name="b")
    assert allows(*overlapped(disable, see(5)))
    assert allows(*overlapped(disable, see()))
    off = add() | {"enabled": False}
    enable = [off | {"at": 0}, write(5, **during(10, 20)), do("enable-bitmap", node="d", name="b", **during(15, 25))]
    for granules, right in (((5,), True), ((), True), ((4,), False)):
        assert allows(*enable, see(*granules, at=100)) == right


def test_a_write_that_overlaps_an_add_may_be_in_or_not() -> None:
    assert allows(*overlapped(add("c"), see(5, name="c"), see(5)))
    assert allows(*overlapped(add("c"), see(name="c"), see(5)))
    assert not allows(*overlapped(add("c"), see(5, name="c"), see()))


def test_a_write_that_overlaps_two_commands_is_in_what_neither_touches() -> None:
    """It may be before, between or after; bitmap b has it in any case."""
    begun = [add() | {"at": 0}, add("c") | {"at": 1}, write(5, **during(10, 40)),
             do("clear-bitmap", node="d", name="c", at=20),
             do("disable-bitmap", node="d", name="c", at=30)]  # fmt: skip
    assert allows(*begun, see(5, at=100), see(5, name="c", at=101))
    assert allows(*begun, see(5, at=100), see(name="c", at=101))
    assert not allows(*begun, see(at=100))


def test_a_write_that_overlaps_the_start_of_a_job_is_before_it_or_after() -> None:
    """Before: it is in the backup, and so in the frozen bitmap; after: in the successor. Never lost."""
    begun = overlapped(start(), before=(write(1),))
    copied = do("copy", job="j", offset=0, length=SIZE, ended={"j": "completed"}, at=50)
    assert allows(*begun, see(1, at=40), copied, see(5, at=60))
    assert allows(*begun, see(1, 5, at=40), copied, see(at=60))
    assert not allows(*begun, see(5, at=40))
    cancelled = do("cancel-job", job="j", ended={"j": "cancelled"}, at=50)
    assert allows(*begun, cancelled, see(1, 5, at=60))
    assert not allows(*begun, cancelled, see(1, at=60))


def test_what_is_in_flight_at_a_drain_is_before_it() -> None:
    """The write began before the transaction did: if it is still under way when that drains, it ends first."""
    actions = [do("clear-bitmap", node="d", name="b"), add("c")]
    begun = overlapped(do("transaction", actions=actions), before=(write(1),))
    assert allows(*begun, see(5, at=60), see(5, name="c", at=61))
    assert allows(*begun, see(at=60), see(name="c", at=61))
    assert not allows(*begun, see(1, at=60))


def test_a_write_that_overlaps_the_end_of_a_job_is_in_the_heir_in_any_case() -> None:
    head = UNKNOWN
    begun = [add() | {"at": 0}, write(1, at=1), start(at=2), write(5, **during(10, 20)),
             {"ended": {"j": "completed"}, **during(15, 25)}]  # fmt: skip
    assert allows(*begun, see(5, at=60), head=head)
    assert not allows(*begun, see(at=60), head=head)
    failed = [*begun[:-1], {"ended": {"j": "failed"}, **during(15, 25)}]
    assert allows(*failed, see(1, 5, at=60), head=head)
    assert not allows(*failed, see(1, at=60), head=head)


def test_the_order_of_commands_is_found_from_their_replies() -> None:
    begun = [add(at=0), write(1, at=1), do("remove-bitmap", node="d", name="b", **during(10, 20))]
    assert allows(*begun, do("clear-bitmap", node="d", name="b", reply="not found", **during(11, 20)))
    assert allows(*begun, do("clear-bitmap", node="d", name="b", **during(11, 20)))
    assert not allows(*begun, do("clear-bitmap", node="d", name="b", reply="busy", **during(11, 20)))
    assert not allows(*begun, do("clear-bitmap", node="d", name="b", **during(21, 22)))


def test_a_look_may_be_anywhere_in_its_interval_but_looks_keep_their_order() -> None:
    begun = [add(at=0), write(1, at=1)]
    clear = do("clear-bitmap", node="d", name="b", **during(20, 30))
    assert allows(*begun, see(1, **during(10, 40)), clear)
    assert allows(*begun, see(**during(10, 40)), clear)
    first, second = see(**during(20, 22)), see(1, **during(24, 26))
    assert allows(*begun, clear, second, see(**during(27, 28)))
    assert not allows(*begun, clear, first, second)


def test_a_look_is_after_what_had_happened_and_before_what_had_not_also_while_something_else_is_under_way() -> None:
    clear = do("clear-bitmap", node="d", name="b")
    begun = [add(at=0), write(1, at=1), write(5, **during(5, 50))]
    assert not allows(*begun, clear | {"at": 10}, see(1, at=30))
    assert allows(*begun, clear | {"at": 10}, see(at=30))
    assert not allows(*begun, see(at=10), clear | {"at": 30})
    assert allows(*begun, see(1, at=10), clear | {"at": 30})


def test_a_write_whose_end_nobody_knows_may_be_in_or_not_at_any_time() -> None:
    begun = [add(at=0), write(5, begin=10, end=None), do("clear-bitmap", node="d", name="b", at=20)]
    assert allows(*begun, see(at=30), see(5, at=40))
    assert not allows(*begun, see(4, at=30))


def overlapping(*listed: Line) -> list[Line]:
    return [{**each, **during(10, 20)} for each in listed]


def on_bitmap(verb: str, name: str = "b") -> Line:
    return do(f"{verb}-bitmap", node="d", name=name)


TOGGLES = [on_bitmap(("clear", "enable", "disable")[at % 3]) for at in range(32)]
SOURCES = [[{"node": "d", "name": f"b{(at * 5 + 1) % 12}"}] for at in range(31)]
MERGES = [do("merge-bitmaps", node="d", target=f"b{at % 12}", sources=each) for at, each in enumerate(SOURCES)]
STARTS = [do("start-backup", job=f"j{at}", node="d", sync="full") for at in range(32)]
MANY: dict[str, list[Line]] = {
    "adds": [add(f"b{at}") for at in range(32)],
    "adds and removes of one name": [each for _ in range(16) for each in (add("c"), on_bitmap("remove", "c"))],
    "of one bitmap": TOGGLES,
    "merges of all with all": MERGES,
    "jobs that begin": STARTS,
    "pauses": [do("pause-job", job=f"i{at}") for at in range(2)] + TOGGLES[:30],
}


@pytest.mark.parametrize("writes", [0, 16])
@pytest.mark.parametrize("which", MANY)
def test_one_impossible_reply_among_32_commands_that_overlap_is_found(which: str, writes: int) -> None:
    """In as many steps as the bound of the search allows, whatever the machine."""
    begun = [add(at=0), *(add(f"b{at}", at=1) for at in range(12) if which.startswith("merges"))]
    begun += [start(f"i{at}", f"c{at}", at=3) for at in range(2) if which == "pauses"]
    begun[1:1] = [add(f"c{at}", at=1) for at in range(2) if which == "pauses"]
    open_writes = [write(at % 8, **during(9, 20)) for at in range(writes)]
    impossible = overlapping(on_bitmap("clear", "nobody"))
    report = judged(*begun, *open_writes, *overlapping(*MANY[which]), *impossible)
    last = 1 + len(begun) + writes + len(MANY[which]) + 1
    if which == "jobs that begin" and writes:  # whether each write has ended each job is open: 2^32 worlds
        assert (report.findings, len(report.counts.undecided)) == ([], 1)
        return
    assert (last, "clear-bitmap") in [(line, each.where) for line, each in report.findings]
    assert not report.counts.undecided


def test_what_is_too_much_to_be_put_in_order_is_undecided_and_nothing_is_known_after_it() -> None:
    begun = [add(f"b{at}", at=0) for at in range(12)]
    twice = [on_bitmap("remove", "b3"), on_bitmap("remove", "b3")]
    head = HEAD | {"title": "x"}
    report = judged(*begun, write(1, at=1), *overlapping(*MERGES[:30], *twice), see(name="b1", at=30), head=head)
    assert (report.findings, report.counts.undecided) == ([], [15])
    assert not report.conformant
    later = [add("new", at=31), write(2, at=32), see(name="new", at=33)]
    report = judged(*begun, *overlapping(*MERGES[:30], *twice), *later, head=head)
    assert [(line, each.verdict.value) for line, each in report.findings] == [(48, "unsafe")]


def test_more_commands_than_are_kept_at_once_are_undecided_up_to_where_nothing_overlaps_them() -> None:
    many = [add(f"b{at}", **during(10, 20)) for at in range(70)]
    looks = [see(name="b1", **during(25, 26)), see(1, name="b1", at=27)]
    among = [{**on_bitmap("remove", "x"), **during(15, 30)}, *looks]
    report = judged(*many, *among, add("b1", at=40), write(1, at=41), see(name="b1", at=42))
    assert report.counts.undecided == [2]
    assert [(line, each.verdict.value) for line, each in report.findings] == [(77, "unsafe")]


@pytest.mark.parametrize("name", ["verify-factorial-8.jsonl", "verify-factorial-12.jsonl"])
def test_an_input_that_no_order_explains(name: str) -> None:
    with (Path(__file__).parent / "inputs" / name).open("rb") as file:
        report = verify(file, Options())
    assert [each.where for _, each in report.findings] == ["clear-bitmap"]


def test_a_write_that_hangs_for_ever_does_not_stop_the_rest_from_being_judged() -> None:
    looks = [see(1, at=20 + at) for at in range(200)]
    assert allows(add(at=0), write(1, at=1), write(5, **during(10, 900)), *looks, see(1, 5, at=1000))
    assert not allows(add(at=0), write(1, at=1), write(5, **during(10, 900)), *looks, see(5, at=1000))
    ended = [do("clear-bitmap", node="d", name="b", at=1001), see(5, at=1002)]
    assert not allows(add(at=0), write(1, at=1), write(5, **during(10, 900)), *looks, *ended)


# Bad input


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "empty"),
        ('{"format":"cbtspec-trace","version":2,"disks":{"d":512}}', 1, "version"),
        ('{"format":"cbtspec-trace","version":1,"disks":{}}', 1, "disks"),
        ('{"format":"cbtspec-trace","version":1,"disks":{"d":513}}', 1, "multiple of 512"),
        ('{"format":"cbtspec-trace","version":1,"disks":{"d":512},"block":1000}', 1, "power of two"),
        ('{"format":"cbtspec-trace","version":1,"disks":{"d":1152921504606846976}}', 1, "say a larger 'block'"),
        ('{"format":"cbtspec-trace","version":1,"disks":{"d":512},"what":1}', 1, "unknown field `what`"),
        ('{"format":"cbtspec-trace","version":1,"disks":{"d":512},"a\\nb":1}', 1, "unknown field `a\\nb`"),
        ('{"format":"cbtspec-trace","version":1,"disks":{"d":512,"d":1024}}', 1, "'d' is there twice"),
        ("@\n\n", 2, "an empty line"),
        ("@\n[1]\n", 2, "Expected `object`"),
        ("@\n{}\n", 2, "a 'do', a 'see' or an 'ended'"),
        ('@\n{"do":"fly"}\n', 2, "Invalid value 'fly'"),
        ('@\n{"do":"write","node":"d","offset":0}\n', 2, "missing required field `length`"),
        ('@\n{"do":"write","node":"d","offset":0,"length":-1}\n', 2, ">= 0"),
        ('@\n{"do":"write","node":"d","offset":0,"length":1,"size":1}\n', 2, "unknown field `size`"),
        ('@\n{"do":"write","node":"d","offset":0,"length":1,"offset":1}\n', 2, "'offset' is there twice"),
        ('@\n{"do":"write","node":"d","offset" :0,"length":1,"offset":1}\n', 2, "'offset' is there twice"),
        ('@\n{"do":"write","node":"d","offset":0,"length":1,"at":NaN}\n', 2, "not JSON"),
        ('@\n{"do":"write","node":"d","offset":0,"length":1,"at":1e999}\n', 2, "out of range"),
        ('@\n{"do":"write","node":"d","offset":0,"length":1,"begin":1}\n', 2, "'begin' without an 'end'"),
        ('@\n{"do":"write","node":"d","offset":0,"length":1,"end":1}\n', 2, "'end' without a 'begin'"),
        ('@\n{"do":"write","node":"d","offset":0,"length":1,"begin":2,"end":1}\n', 2, "ends before it begins"),
        ('@\n{"do":"write","node":"d","offset":0,"length":1,"at":2,"end":1}\n', 2, "exclude each other"),
        ('@\n{"see":"jobs","jobs":{},"at":2}\n{"see":"jobs","jobs":{},"at":1}\n', 3, "out of order"),
        ('@\n{"see":"jobs","jobs":{},"at":2}\n{"see":"jobs","jobs":{}}\n', 3, "some lines say when"),
        ('@\n{"do":"write","node":"d","offset":0,"length":1\n', 2, "not JSON"),
        ('@\n{"do":"write","node":"d","offset":0,"length":1,"reply":"fine"}\n', 2, "Invalid enum value 'fine'"),
        ('@\n{"do":"add-bitmap","node":"d","name":"b","granularity":512}\n', 2, "smaller than the 'block'"),
        ('@\n{"ended":{"j":"completed"}}\n', 2, "only where copies are not in the trace"),
        ('@\n{"see":"bitmaps","node":"x","bitmaps":{}}\n', 2, "no disk of that name"),
        ('@\n{"see":"bitmaps","node":"d","bitmaps":{"b":{"dirty":[[65536,1]]}}}\n', 2, "beyond the end of the disk"),
        ('@\n{"see":"bitmaps","node":"d","bitmaps":{"b":{"sha256":"abc"}}}\n', 2, "matching regex"),
        ('@\n{"see":"moon"}\n', 2, "Invalid value 'moon'"),
        ('@\n{"do":"transaction","actions":[{"do":"write"}]}\n', 2, "Invalid value 'write'"),
        ('@\n{"do":"write","node":"\\ud800","offset":0,"length":1}\n', 2, "not JSON"),
        ("@\n" + "[" * 100_000 + "\n", 2, "not JSON"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_with_its_place(text: str, line: int, reason: str, tmp_path: Path) -> None:
    head = '{"format":"cbtspec-trace","version":1,"disks":{"d":65536},"block":4096}'
    file = tmp_path / "bad.jsonl"
    file.write_text(text.replace("@", head), encoding="utf-8", errors="surrogatepass")
    done = subprocess_free(["verify", "--format", "trace", str(file)])
    assert done.exit_code == 64
    assert f"line {line}: " in done.stderr
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def subprocess_free(arguments: list[str], stdin: bytes | None = None) -> Any:
    return CliRunner().invoke(main, arguments, input=stdin)


def test_a_line_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbtcheck.trace.lines.LONGEST_LINE", 200)
    with pytest.raises(TraceProblem, match="line 2: longer than 200 bytes"):
        judged(add("x" * 300))


def test_members_may_come_in_any_order_and_names_may_look_like_anything() -> None:
    backwards = [dict(reversed(list(each.items()))) for each in (add('a":b'), write(1))]
    assert allows(*backwards, see(1, name='a":b'))


VALID = "".join(
    json.dumps(each) + "\n"
    for each in [
        HEAD, add(at=0), add("c", at=1), write(1, **during(2, 9)),
        do("clear-bitmap", node="d", name="b", **during(3, 8)),
        see(1, **during(4, 12)), start(bitmap="c", at=20), write(2, at=21),
        do("copy", job="j", offset=0, length=SIZE, ended={"j": "completed"}, at=22),
        do("transaction", actions=[add("x"), do("abort")], reply="aborted", at=23),
        see_flags(count=2 * K64, when={"at": 24}),
    ]
).encode()  # fmt: skip

QMP = (Path(__file__).parent / "traces" / "qemu-storage-daemon-7.2.jsonl").read_bytes()


NIGHT = os.environ.get("CBTSPEC_NIGHT") == "1"


@settings(max_examples=5000 if NIGHT else 300, deadline=None, derandomize=not NIGHT, database=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(data=st.data())
def test_no_input_makes_it_crash(data: st.DataObject) -> None:
    """Mutated traces and logs, and anything at all: a report, or an error with a line."""
    text = bytearray(data.draw(st.sampled_from([VALID, QMP, b""])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        match data.draw(st.integers(0, 3)):
            case 0:
                text[at : at + data.draw(st.integers(0, 40))] = b""
            case 1:
                text[at:at] = data.draw(st.binary(max_size=8))
            case 2:
                tokens = [b"-1", b"1e308", b"null", b"{}", b"[]", b'"b"', b"\n", b"true", b"9" * 20, b'"j"']
                text[at : at + 1] = data.draw(st.sampled_from(tokens))
            case 3:
                piece = text[at : at + data.draw(st.integers(0, 200))]
                text[at:at] = piece
    try:
        verify(io.BytesIO(bytes(text)), Options(format=data.draw(st.sampled_from(["auto", "trace", "qmp"]))))
        said = "line 1"
    except TraceProblem as problem:
        said = str(problem)
    assert re.match(r"line [1-9]", said)
    assert "\n" not in said


# The command


def test_the_command_prints_what_differs_with_its_line_and_exits_accordingly(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"

    def run(*entries: Line, options: tuple[str, ...] = ()) -> Any:
        file.write_text("".join(json.dumps(each) + "\n" for each in [HEAD, *entries]))
        return subprocess_free(["verify", str(file), *options])

    begun = [add(), write(1)]
    assert run(*begun, see(1)).exit_code == 0
    assert "everything that was judged is allowed" in run(*begun, see(1)).stdout
    lost = run(*begun, see())
    assert lost.exit_code == 2
    assert "t.jsonl:4: unsafe [NO-LOST-WRITE] d/b bits" in lost.stdout
    assert run(*begun, see(1, 2)).exit_code == 1
    assert run().exit_code == 64
    assert "nothing was judged" in run().stdout
    document = json.loads(run(*begun, see(), options=("--output", "json")).stdout)
    assert (document["conformant"], document["verdict"], document["disagreements"]) == (False, "unsafe", 1)
    assert document["findings"][0]["line"] == 4


def test_the_command_reads_standard_input_also_for_logs_that_are_gone_through_twice() -> None:
    assert subprocess_free(["verify", "-"], VALID).exit_code == 0
    done = subprocess_free(["verify", "--guest", "recorded", "-"], QMP)
    assert (done.exit_code, "15 looks judged" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    "arguments", [["nowhere.jsonl"], ["--disk", "d", "-"], ["--format", "qmp", "--copies", "recorded", "-"], ["/"]]
)
def test_what_the_caller_gets_wrong_is_one_line(arguments: list[str]) -> None:
    done = subprocess_free(["verify", *arguments], b"")
    assert done.exit_code == 64
    assert done.stderr.count("\n") == 1


def test_the_published_schema_is_that_of_the_types_and_describes_what_is_read() -> None:
    import jsonschema

    assert schema.published().encode() == schema.made()
    validator = jsonschema.Draft202012Validator(json.loads(schema.published()))
    for line in VALID.splitlines():
        validator.validate(json.loads(line))
    for wrong in ({"do": "fly"}, add() | {"x": 1}, write(1, reply="fine"), {"ended": {}}):
        assert not validator.is_valid(wrong)


def test_examples_in_the_documentation_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/use" / "traces.md").read_text()
    block = page.split("<!-- trace -->\n```\n")[1].split("```")[0]
    file = tmp_path / "chain.jsonl"
    file.write_text(block)
    done = subprocess_free(["verify", str(file)])
    shown = page.split("<!-- output -->\n```\n")[1].split("```")[0]
    assert done.stdout.strip() == shown.strip()


# Sets that are known in part


def test_operations_on_bounds_are_right_for_every_pair_of_sets() -> None:
    """Each result contains the true one, for all sets between all bounds on three blocks."""
    from cbtcheck.sets.compressed import CompressedSets
    from cbtcheck.sets.numbers import Numbers

    space = CompressedSets(512)
    subsets = [space.gathered(Numbers([b for b in range(3) if n >> b & 1])) for n in range(8)]
    bounds = [Between(a, b) for a in subsets for b in subsets if a <= b]
    for one in bounds:
        for other in bounds:
            for operation in ("__or__", "__and__", "__sub__"):
                result = getattr(one, operation)(other)
                truths = [getattr(x, operation)(y) for x in subsets for y in subsets
                          if one.least <= x <= one.most and other.least <= y <= other.most]  # fmt: skip
                assert all(result.least <= truth <= result.most for truth in truths)
                assert any(truth == result.least for truth in truths)
                assert any(truth == result.most for truth in truths)


def test_both_answers_are_gone_through_where_emptiness_is_undecided() -> None:
    from cbtcheck.sets.compressed import CompressedSets

    one = CompressedSets(512).blocks(0, 1)
    assert sorted(outcomes(lambda: (bool(at_most(one)), bool(exactly(one)), bool(at_most(one))))) == [
        (first, True, second) for first in (False, True) for second in (False, True)
    ]


# Long traces

LONG = """
import resource, sys
from cbtcheck.trace.lines import lines
from cbtcheck.trace.own import OwnReader, read_head, verifier_for
def trace(events):
    yield 1, b'{"format":"cbtspec-trace","version":1,"block":4096,"disks":{"d":1073741824}}'
    yield 2, b'{"do":"add-bitmap","node":"d","name":"b","granularity":65536,"at":0}'
    for n in range(1, events):
        if n % 500 == 0:
            yield n + 2, b'{"do":"clear-bitmap","node":"d","name":"b","begin":%d,"end":%d}' % (n, n + 3)
        else:
            yield n + 2, b'{"do":"write","node":"d","offset":%d,"length":4096,"begin":%d,"end":%d}' % (
                n * 7919 % 262144 * 4096, n, n + n % 40)
listed = trace(int(sys.argv[1]))
head = read_head(*next(listed))
OwnReader(head, verifier_for(head, print)).read(listed)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_length_of_a_trace() -> None:
    def kibibytes(events: int) -> int:
        done = subprocess.run([sys.executable, "-c", LONG, str(events)], capture_output=True, text=True, check=True,
                              env=os.environ)  # fmt: skip
        return int(done.stdout)

    assert kibibytes(300_000) <= 1.1 * kibibytes(30_000)
