"""The adapter that is a program: what it claims, that what is right is found right, and the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cbtcheck.adapter import POISON, AdapterBroken, AdapterUnusable, Hint, Performed
from cbtcheck.adapters.exec import LIMITS, MOST_LATE, ExecAdapter, capabilities_of, layouts
from cbtcheck.adapters.protocol import lines
from cbtcheck.adapters.protocol import messages as m
from cbtcheck.adapters.protocol.messages import Hello
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli import command
from cbtcheck.follow.play import Player
from cbtcheck.host.child import Limits
from cbtcheck.run import course
from cbtcheck.run.bounds import bounds
from cbtcheck.run.deal import batch
from cbtcheck.run.options import Options
from cbtcheck.scenario import capabilities as claims
from cbtcheck.scenario.scenario import LARGEST_DISK, Scenario, save
from cbtcheck.scenario.verdict import EXIT_CODES, Verdict
from cbtcheck.sets.bitsets import BitSets
from cbtcheck.workflows import workflows
from cbtmodel import commands as c
from cbtmodel.node import initial
from cbtmodel.step import step
from click.testing import CliRunner, Result

HERE = Path(__file__).parents[1]
FAITHFUL = (sys.executable, str(HERE / "adapters" / "faithful.py"))
HOSTILE = (sys.executable, "-S", "-E", str(HERE / "hostile"))
K = 1024
DISKS = {"disk0": 32 * K}

Opener = Callable[..., ExecAdapter]


@pytest.fixture
def opened() -> Iterator[Opener]:
    made = []

    def opener(*words: str, program: tuple[str, ...] = FAITHFUL, limits: Limits | None = None) -> ExecAdapter:
        made.append(ExecAdapter((*program, *words), limits))
        return made[-1]

    yield opener
    for each in made:
        each.close()
        each.close()


def hello(**members: Any) -> m.Hello:
    usual: dict[str, Any] = {
        "seq": 1, "protocol": 1, "name": "x", "version": "1", "capabilities": ["core"], "copies": "suite",
        "granularities": [4096, 512], "clusters": [4096],
    }  # fmt: skip
    return msgspec.convert({**usual, **members}, type=m.Hello)


# What it claims


def test_what_the_suite_does_is_claimed_if_it_makes_the_copies() -> None:
    suite = capabilities_of(hello())
    assert suite.commands >= claims.JOB_CONTROL
    assert suite.features == claims.WITH_JOB_CONTROL
    assert suite.any_cluster
    own = capabilities_of(hello(copies="adapter"))
    assert own.commands == {"add-bitmap", "write", "start-backup", "copy", "cancel-job"}
    assert own.features == frozenset()
    assert not own.any_cluster


def test_the_other_members_of_hello() -> None:
    told = capabilities_of(hello(
        copies="adapter", min_granularity=4096, max_granularity=8192, max_disks=1, max_jobs=1, picks_clusters=False,
        tails=False,
    ))  # fmt: skip
    assert (told.granularities, told.smallest_granularity, told.largest_granularity) == ((4096,), 4096, 8192)
    assert (told.max_disks, told.max_jobs, told.picks_clusters, told.tails) == (1, 1, False, False)


def test_limits_are_claimed_by_members_of_hello() -> None:
    unclaimed = capabilities_of(hello())
    assert (unclaimed.largest_disk, unclaimed.most_granules, unclaimed.most_marked) == (64 << 20, 1 << 20, 1 << 20)
    assert unclaimed.by_default == set(LIMITS)
    told = capabilities_of(hello(
        largest_disk=1 << 62, max_granules=5000, max_dirty=300, max_write=1 << 20, max_writes=7, max_name=100,
        ascii_names=True, largest_content=1 << 62,
    ))  # fmt: skip
    assert (told.largest_disk, told.most_granules, told.most_clusters) == (LARGEST_DISK, 5000, 5000)
    assert (unclaimed.largest_content, told.largest_content) == (64 << 20, LARGEST_DISK)
    assert (told.most_marked, told.longest_write, told.max_writes) == (300, 1 << 20, 7)
    assert (told.longest_name, told.ascii_names, told.by_default) == (100, True, frozenset())
    assert set(LIMITS) <= {each.name for each in msgspec.structs.fields(Hello)}


def test_what_is_not_asked_for_is_said_with_the_member_that_would_widen_it() -> None:
    assert bounds(capabilities_of(hello())) == {"disks of more than 64M": "hello has no 'largest_disk'"}
    few = bounds(capabilities_of(hello(largest_disk=1 << 32, max_dirty=300, max_name=100)))
    assert few == {
        "disks of more than 4G": "that is all that is claimed",
        "bitmaps of more than 1,048,576 granules": "hello has no 'max_granules'",
        "commands that mark more than 300 granules": "that is all that is claimed",
        "names of more than 100 bytes": "that is all that is claimed",
    }
    shown = bounds(capabilities_of(hello(capabilities=["full"], largest_disk=1 << 32, max_granules=1 << 32)))
    assert shown["content of disks of more than 64M"] == "hello has no 'largest_content'"
    assert not bounds(ReferenceAdapter.capabilities)


def test_members_of_hello_that_are_not_known_are_ignored() -> None:
    said = json.dumps({**msgspec.to_builtins(hello()), "largest_tape": 7}).encode()
    assert lines.reply(said, 1, Hello) == hello()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"capabilities": ["core", "snapshots"]}, "unknown capability 'snapshots'"),
        ({"granularities": [1000]}, "1000, which is no power of two"),
        ({"clusters": [4097]}, "4097, which is no power of two"),
        ({"largest_disk": 1 << 20, "granularities": [1 << 20]}, "'largest_disk' has 1048576, where its units take"),
        ({"granularities": [512], "min_granularity": 4096}, "none of 'granularities' lies between"),
    ],
)
def test_a_hello_that_means_nothing(members: dict[str, Any], words: str) -> None:
    with pytest.raises(LookupError, match=words):
        capabilities_of(hello(**members))


def test_disks_are_of_the_sizes_that_are_claimed() -> None:
    assert layouts(hello()) == (
        {"disk0": 32 * K}, {"disk0": 32 * K, "disk1": 32 * K}, {"disk0": 20 * K + 1536},
        {"disk0": 20 * K + 1536, "disk1": 32 * K},
    )  # fmt: skip
    assert layouts(hello(max_disks=1, tails=False)) == ({"disk0": 32 * K},)
    whole = layouts(hello(granularities=[512, 65536], tails=False))
    assert all(size % 65536 == 0 for each in whole for size in each.values())
    huge = layouts(hello(granularities=[1 << 31]))
    assert all(size <= 64 << 20 and size % 512 == 0 for each in huge for size in each.values())


# What is right is found right


def scenarios(adapter: ExecAdapter) -> list[Scenario]:
    """The workflows, and some that are drawn."""
    return [*workflows().values(), *batch(adapter.capabilities, 7, 0, 14)]


@pytest.mark.parametrize("words", [(), ("batch",), ("suite",), ("suite", "read", "batch")], ids=" ".join)
@pytest.mark.parametrize("closely", [True, False])
def test_the_reference_is_right_behind_the_protocol(opened: Opener, words: tuple[str, ...], closely: bool) -> None:
    adapter = opened(*words)
    player = Player(adapter, closely=closely)
    compared = 0
    for each in scenarios(adapter):
        assert player.play_scenario(each) == [], each.title
        compared += player.compared
    assert compared > 20


@pytest.mark.parametrize(
    "words",
    [("doubts",), ("suite", "doubts"), ("skips",), ("doubts", "skips"), ("suite", "read", "doubts", "skips")],
    ids=" ".join,
)
def test_a_right_one_that_is_never_certain_is_right(opened: Opener, words: tuple[str, ...]) -> None:
    adapter = opened(*words)
    player = Player(adapter)
    for each in [*batch(adapter.capabilities, 7, 0, 14), *batch(adapter.capabilities, 7, 1, 14)]:
        assert player.play_scenario(each) == [], each.commands


def test_every_kind_of_claim_is_kept_to(opened: Opener) -> None:
    """Who claims less is asked for less: nothing is answered with `unsupported`, or refused as invalid."""
    for only in ("core", "core,bitmaps", "core,jobs,content", "core,in-flight,transactions,refusals"):
        adapter = opened("suite", f"only={only}")
        player = Player(adapter)
        for each in batch(adapter.capabilities, 7, 0, 14):
            assert player.play_scenario(each) == []


class Whole(ExecAdapter):
    """Keeps how far beyond the end of its disk each granule and cluster goes."""

    beyond: set[int] = set()

    def perform(self, command: c.Command, hint: Hint) -> Performed:
        for each in (command, *(command.actions if isinstance(command, c.Transaction) else ())):
            unit = each.granularity if isinstance(each, c.AddBitmap) else getattr(each, "cluster", 0)
            if unit in self.hello.granularities + self.hello.clusters and each.node in hint.before.nodes:
                self.beyond.add(hint.before.nodes[each.node].size % unit)
        return super().perform(command, hint)


def test_no_disk_has_a_tail_if_that_is_not_claimed(tmp_path: Path) -> None:
    for tails in ("tails=true", "tails=false"):
        Whole.beyond = set()
        adapter = Whole((*FAITHFUL, "suite", tails))
        options = Options("quick", 1, 25, None, "finalize-job", tmp_path)
        assert course.run(lambda adapter=adapter: adapter, options, lambda *_: None).failures == []
        assert (Whole.beyond == {0}) is (tails == "tails=false")


class Driven:
    """An adapter driven by hand, with the specification beside it for hints, and nobody who judges."""

    def __init__(self, adapter: ExecAdapter) -> None:
        self.adapter = adapter
        adapter.reset(DISKS)
        self.state = initial(BitSets(), DISKS)

    def __call__(self, asked: c.Command) -> str:
        performed = self.adapter.perform(asked, Hint(self.state, 7))
        self.state = step(self.state, asked).state
        return performed.trace[0][1].refusal


@pytest.mark.parametrize("words", [("suite",), ("suite", "read")], ids=" ".join)
def test_the_suite_copies_what_was_on_the_disk_at_the_start(opened: Opener, words: tuple[str, ...]) -> None:
    adapter = opened(*words)
    do = Driven(adapter)
    do(c.AddBitmap("disk0", "b0", 4096))
    do(c.Write("disk0", 4096, 1))
    do(c.StartBackup("j0", "disk0", "incremental", "b0", cluster=4096))
    do(c.Write("disk0", 4096, 4096, "zeroes"))
    assert adapter.target("j0") == bytes([POISON]) * 4096 + b"\7" + bytes(4095) + bytes([POISON]) * 24 * K


LARGE = Scenario({"d": (5 << 30) + 512}, (
    c.AddBitmap("d", "b", 65536), c.Write("d", 0, 1), c.Write("d", 1 << 32, 5),
    c.StartBackup("j", "d", "incremental", "b", cluster=65536),
    c.Write("d", (1 << 32) + 4, 100), c.Copy("j", 0, 5 << 30),
), 65536)  # fmt: skip


@pytest.mark.parametrize("words", ["large", "large suite", "large suite read"])
def test_the_content_of_large_disks_is_compared_if_that_is_claimed(opened: Opener, words: str) -> None:
    player = Player(opened(*words.split()))
    assert not player.play_scenario(LARGE)
    assert player.compared == 1
    player = Player(opened(*words.split(), "largest_content=67108864"))
    assert not player.play_scenario(LARGE)
    assert player.compared == 0


def test_a_copy_of_something_else_is_found_by_its_bytes(opened: Opener) -> None:
    found = Player(opened("large", "misplaces")).play_scenario(LARGE)
    assert {(each.verdict.value, each.property) for each in found} == {("unsafe", "POINT-IN-TIME")}
    assert {each.seen for each in found} == {f"blocks {(1 << 32) // 65536} differ"}


def test_what_is_not_reported_is_not_copied(opened: Opener) -> None:
    """So that a bit that was lost is a hole in the backup, whatever else is seen of it."""
    adapter = opened("suite", "forgets")
    do = Driven(adapter)
    do(c.AddBitmap("disk0", "b0", 4096))
    do(c.Write("disk0", 4096, 1))
    do(c.StartBackup("j0", "disk0", "incremental", "b0", cluster=4096))
    do(c.Copy("j0", 0, 32 * K))
    assert adapter.target("j0") == bytes([POISON]) * 32 * K
    assert adapter.target("j0") is None
    full = Driven(adapter)
    full(c.StartBackup("j0", "disk0", "full", cluster=4096))
    full(c.Copy("j0", 0, 32 * K))
    assert adapter.target("j0") == bytes(32 * K)


def test_what_a_failed_backup_has_left_is_told(opened: Opener) -> None:
    adapter = opened("suite")
    do = Driven(adapter)
    do(c.AddBitmap("disk0", "b0", 4096))
    do(c.Write("disk0", 0, 16 * K))
    do(c.StartBackup("j0", "disk0", "bitmap", "b0", "always", cluster=4096))
    do(c.Copy("j0", 4096, 4096))
    do(c.CancelJob("j0"))
    adapter.observe()
    assert adapter.bits("disk0", "b0") == 0b1101


def test_what_is_the_suites_affair_is_not_sent(opened: Opener) -> None:
    """The reference would refuse them in the same way; so it is the number of requests that tells."""
    adapter = opened("suite")
    do = Driven(adapter)
    do(c.StartBackup("j0", "disk0", "full", cluster=4096))
    before = adapter.talk.seq
    start = c.StartBackup("j0", "disk0", "full", cluster=4096)
    assert do(start) == "exists"
    assert do(replace(start, job="0")) == do(replace(start, job="j1", cluster=1000)) == "invalid"
    assert do(c.Transaction((start,))) == "exists"
    assert do(c.Transaction((replace(start, job="j1", cluster=-1),))) == "invalid"
    assert do(c.Write("disk0", 0, 1, result="copy failed")) == "copy failed"
    assert do(c.FinalizeJob("j0")) == "wrong phase"
    assert do(c.PauseJob("j0")) == do(c.ResumeJob("j0")) == ""
    assert adapter.talk.seq == before
    assert do(c.StartBackup("j1", "disk9", "full")) == "not found"
    assert do(c.Transaction((c.AddBitmap("disk0", "b", 1000), start))) == "invalid"
    assert adapter.talk.seq == before + 2


def test_writes_in_a_batch_are_answered_as_one_by_one(opened: Opener) -> None:
    adapter = opened("batch")
    adapter.reset(DISKS)
    hint = Hint(initial(BitSets(), DISKS), 3)
    adapter.perform(c.AddBitmap("disk0", "b0", 512), hint)
    writes = [c.Write("disk0", 512 * (i % 80), 512) for i in range(2000)]
    performed = adapter.perform_many(writes, [hint] * len(writes))
    assert [each.trace[0][0] for each in performed] == writes
    refused = [each.trace[0][1].refusal for each in performed]
    assert refused == ["" if i % 80 < 64 else "invalid" for i in range(2000)]
    adapter.observe()
    assert adapter.bits("disk0", "b0") == (1 << 64) - 1


# What breaks


def test_it_is_told_apart_what_cannot_be_started_and_what_is_broken() -> None:
    with pytest.raises(AdapterUnusable, match="no such program"):
        ExecAdapter(["/no/such/program"])
    with pytest.raises(AdapterBroken, match="exited with code 1"):
        ExecAdapter([sys.executable, "-c", "raise SystemExit(1)"])
    with pytest.raises(AdapterBroken, match="hello: unknown capability 'y'"):
        ExecAdapter([*FAITHFUL, "only=y"])


def scripted(tmp_path: Path, **replies: Any) -> tuple[str, ...]:
    """A program that says the same to every request of a kind."""
    told = {"hello": json.loads(msgspec.json.encode(hello(copies="adapter", capabilities=["full"]))), **replies}
    for each in told.values():
        each.pop("seq", None)
    path = tmp_path / "scripted.py"
    path.write_text(
        "import json, sys\n"
        f"told = json.loads({json.dumps(told)!r})\n"
        "for line in sys.stdin:\n"
        "    request = json.loads(line)\n"
        "    print(json.dumps({'seq': request['seq'], **told.get(request['do'], {})}), flush=True)\n"
    )
    return sys.executable, "-S", "-E", str(path)


WRITE = c.Write("disk0", 0, 512)
AS_DATA = {"do": "write", "node": "disk0", "offset": 0, "length": 512}


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"trace": [{**AS_DATA, "offset": 512}]}, "a Write that was not asked for"),
        ({"trace": [{"do": "clear-bitmap", "node": "disk0", "name": "b"}]}, "a ClearBitmap that was not asked for"),
        ({"trace": [{"do": "wirte"}]}, "unknown command 'wirte'"),
        ({"trace": [{**AS_DATA, "error": "no"}]}, "Invalid enum value"),
        ({"trace": [{**AS_DATA, "length": "1"}]}, "'write'"),
        ({"trace": [AS_DATA], "error": "busy"}, "with an error and a trace"),
    ],
)
def test_a_trace_tells_of_what_can_have_happened(
    opened: Opener, tmp_path: Path, reply: dict[str, Any], words: str
) -> None:
    adapter = opened(program=scripted(tmp_path, write=reply))
    adapter.reset(DISKS)
    with pytest.raises(AdapterBroken, match=words):
        adapter.perform(WRITE, Hint(initial(BitSets(), DISKS), 1))
    with pytest.raises(AdapterBroken, match="has broken before"):
        adapter.observe()
    adapter.reset(DISKS)


def test_a_trace_is_what_happened(opened: Opener, tmp_path: Path) -> None:
    told = [{"do": "end-copy", "job": "j0"}, {**AS_DATA, "result": "failed", "fill": 7}]
    ended = [{"job": "j0", "outcome": "completed"}]
    adapter = opened(program=scripted(tmp_path, write={"trace": told, "ended": ended}))
    adapter.reset(DISKS)
    performed = adapter.perform(WRITE, Hint(initial(BitSets(), DISKS), 1))
    assert [each for each, _ in performed.trace] == [c.EndCopy("j0"), replace(WRITE, result="failed")]
    assert performed.ended == (("j0", "completed"),)


def test_a_target_is_as_large_as_a_disk(opened: Opener, tmp_path: Path) -> None:
    adapter = opened(program=scripted(tmp_path, observe={"content": [[1, 1 << 62]]}))
    adapter.reset(DISKS)
    with pytest.raises(AdapterBroken, match="as no disk has"):
        adapter.target("j0")


def test_who_is_late_too_often_is_not_waited_for(opened: Opener) -> None:
    adapter = opened("goes-silent", program=HOSTILE, limits=Limits(message=0.3, start=10))
    scenario = Scenario(DISKS, (c.AddBitmap("disk0", "b0", 4096), *[WRITE] * 5))
    for number in range(MOST_LATE):
        assert adapter.exhausted is False, number
        assert [each.verdict for each in course.replay(adapter, scenario)[1]] == [Verdict.BROKEN]
    assert adapter.exhausted is True


# The command line


def cbtspec(*words: str) -> Result:
    return CliRunner().invoke(command.main, words, prog_name="cbtspec")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "exec"], "name it after two hyphens"),
        (["check", "reference", "--", "./x"], "'./x' is one argument too many"),
        (["check", "--deadline", "1"], "are for the adapter 'exec' only"),
        (["check", "exec", "--memory", "much", "--", "./x"], "'much' is no size (such as 512M or 2G)"),
        (["check", "exec", "--memory", "0", "--", "./x"], "'0' is no size"),
        (["check", "exec", "--deadline", "0", "--", "./x"], "--deadline"),
        (["check", "exec", "--", "/no/such/program"], "'/no/such/program' cannot be started"),
        (["check", "exec", "--jobs", "2", "--", "/no/such/program"], "'/no/such/program' cannot be started"),
        (["replay", "good.json", "--adapter", "exec"], "name it after two hyphens"),
    ],
)
def test_what_a_caller_may_get_wrong_is_one_line(here: Path, words: list[str], said: str) -> None:
    save(Scenario(DISKS, (WRITE,)), here / "good.json")
    result = cbtspec(*words)
    assert result.exit_code == 64
    assert said in result.output
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_no_hello_is_a_verdict(here: Path, jobs: str) -> None:
    result = cbtspec("check", "exec", "--jobs", jobs, "--", sys.executable, "-c", "raise SystemExit(9)")
    assert result.exit_code == 3
    said = "broken: the adapter has exited with code 9, without an answer; it was asked to hello"
    assert result.output.strip() == said


def test_a_failure_can_be_reproduced_with_the_line_that_is_printed(here: Path) -> None:
    program = [*HOSTILE, "loses-writes-during-a-backup"]
    result = cbtspec("check", "exec", "--only", "cancel-job", "--examples", "3", "--deadline", "9", "--memory", "1G",
                     "--", *program)  # fmt: skip
    assert result.exit_code == 2, result.output
    line = next(each for each in result.output.splitlines() if each.startswith("Reproduce with: "))
    words = line.removeprefix("Reproduce with: cbtspec ").split()
    assert words[2:6] == ["--adapter", "exec", "--deadline", "9"]
    assert words[6:] == ["--", *program]
    again = cbtspec(*words)
    assert again.exit_code == 2
    assert "unsafe [NO-LOST-WRITE]" in again.output


def test_a_run_whose_time_is_over_is_no_pass(here: Path) -> None:
    result = cbtspec("check", "exec", "--time-limit", "1", "--", *FAITHFUL, "suite")
    assert result.exit_code == 130
    assert "interrupted" in result.output


def test_several_processes_have_an_adapter_each(here: Path) -> None:
    result = cbtspec("check", "exec", "--jobs", "2", "--only", "pause-job", "--examples", "10", "--", *FAITHFUL)
    assert "NOT CONFORMANT" not in result.output
    assert "AGREES, INCOMPLETE (not conformant): only what --only pause-job names was played" in result.output
    assert result.exit_code == EXIT_CODES["incomplete"]


def test_a_program_that_says_no_hello_is_in_every_report(tmp_path: Path) -> None:
    files = [tmp_path / f"report.{form}" for form in ("xml", "json", "html")]
    junit, json_file, html = map(str, files)
    options = ["--junit", junit, "--json", json_file, "--html", html]
    result = CliRunner().invoke(
        command.main, ["check", "exec", *options, "--", sys.executable, "-c", "print('hi')"], prog_name="cbtspec"
    )
    assert result.exit_code == 3
    assert "no reply: hi" in result.output
    report = json.loads(files[1].read_bytes())
    assert (report["conformant"], report["verdict"]) == (False, "broken")
    assert all("no reply: hi" in file.read_text() for file in files)
