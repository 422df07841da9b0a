"""A run in several processes: the same scenarios, each once, and the same report; and nobody is left behind."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cbtcheck.adapter import Adapter, AdapterBroken, AdapterUnusable, Capabilities, Hint, Performed
from cbtcheck.adapters import Opening
from cbtcheck.adapters.mistakes import host_with
from cbtcheck.adapters.qemu.adapter import QemuAdapter
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.report import printed
from cbtcheck.report.brief import brief
from cbtcheck.report.exported import to_json
from cbtcheck.run import course, parallel, plan, start
from cbtcheck.run.course import Course
from cbtcheck.run.deal import BATCH, batch
from cbtcheck.run.gather import ENOUGH_FAILURES, Known
from cbtcheck.run.messages import Answer, Introduction, Task
from cbtcheck.run.messages import Played as Came
from cbtcheck.run.options import Options
from cbtcheck.run.part import Part
from cbtcheck.run.profiles import PROFILES, Profile
from cbtcheck.run.report import Report
from cbtcheck.run.tasks import tasks_of
from cbtcheck.run.tour_phases import realised
from cbtcheck.run.worker_process import ItemPlayer
from cbtcheck.scenario.scenario import Scenario, to_data
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.families import families
from cbtcheck.search.restarts import restarts
from cbtcheck.search.tour import reachable, walks
from cbtcheck.search.tour.coverage import Edge
from cbtcheck.search.tour.images.walks import tour_of_images
from cbtcheck.search.tour.reachable import World, worlds
from cbtcheck.search.tour.sizes import sizes_for_histories
from cbtcheck.search.tour.universal_play import control_sequences, plays, realised_alike, sequence_of
from cbtcheck.search.tour.walks import Walk, edges_of, tour
from cbtmodel.commands import AddBitmap, ClearBitmap, Command
from cbtmodel.image import Event
from waiting import eventually, finished

SOME, FEW = 150, 100
"""Every so many walks of the tour are played."""


# Who plays what


def test_tasks_have_each_item_once_and_groups_together() -> None:
    capabilities = replace(ReferenceAdapter.capabilities, picks_clusters=False)
    made = plan.Plan("reference", capabilities, Options("quick", 3, 60, None, None, Path()))
    items = [*made.items()]
    tasks = [*tasks_of(made.items())]
    assert sorted((each for task in tasks for each in task), key=lambda each: each.place) == items
    assert all(len({each.phase for each in task}) == 1 for task in tasks)
    assert [task[0].place for task in tasks] == sorted(task[0].place for task in tasks)
    owners: dict[Any, Any] = {}
    for number, task in enumerate(tasks):
        for each in task:
            if each.group is not None:
                assert owners.setdefault(each.group, number) == number
    assert any(len(task) > 1 and task[0].group is not None for task in tasks)


def test_an_item_is_data_that_another_machine_can_read() -> None:
    made = plan.Plan("reference", ReferenceAdapter.capabilities, Options("quick", 3, 60, None, None, Path()))
    for each in made.items():
        assert pickle.loads(pickle.dumps(each)) == each


def test_a_task_is_lazy_where_there_is_no_end() -> None:
    made = plan.Plan("reference", ReferenceAdapter.capabilities, Options("quick", 3, None, 1.0, None, Path()))
    tasks = tasks_of(made.drawn())
    assert [task[0].number for task in islice(tasks, 3)] == [0, BATCH, 2 * BATCH]


def test_sequences_that_are_the_same_scenario_for_qemu_are_in_one_group() -> None:
    """Of which one is played, and the others count as not made to happen; so one shard must see them all."""
    capabilities = QemuAdapter.capabilities
    groups: dict[Any, Any] = {}
    twice = 0
    for sequence in control_sequences(tour("quick")):
        for play in plays(sequence, 3):
            sizes = sizes_for_histories(capabilities, len(play.histories))[0]
            scenario, _ = realised(play.scenario(sizes), capabilities)
            key = tuple(scenario.disks.items()), scenario.commands
            twice += key in groups
            assert groups.setdefault(key, realised_alike(sequence)) == realised_alike(sequence)
    assert twice > 0, "else there is nothing to see here"


def test_a_batch_depends_on_the_seed_and_its_number_only() -> None:
    capabilities = ReferenceAdapter.capabilities
    first = batch(capabilities, 1, 0, 14)
    again = batch(capabilities, 1, 3, 14), batch(capabilities, 1, 0, 14)
    assert len(first) == len({(*each.disks.items(), each.commands) for each in first}) == BATCH
    assert again[1] == first != again[0]
    assert batch(capabilities, 2, 0, 14) != first


def test_of_what_cannot_be_drawn_a_batch_has_none() -> None:
    modest = replace(ReferenceAdapter.capabilities, commands=frozenset({"add-bitmap", "write"}))
    assert batch(modest, 1, 0, 14, "merge-bitmaps") == []
    assert len(batch(modest, 1, 0, 14, "write")) == BATCH


# The same scenarios, each once


@dataclass
class Played:
    """What was played, and the report."""

    scenarios: list[tuple[str, str]]
    report: dict[str, Any]


def without_times(report: Report) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.json.decode(to_json(report))
    for part in (plain, plain["tour"]):
        for key in ("seconds", "pairs_per_second"):
            part.pop(key, None)
    return plain


class Several:
    """An executor of several courses in this process: tasks go to them in turns, and what is known is told late."""

    def __init__(self, adapter: Adapter, options: Options, size: int) -> None:
        self.size, self.played = size, list[tuple[str, str]]()
        self._introduction = Introduction(adapter.name, adapter.version, adapter.capabilities)
        self._parts: list[Part] = []
        self._courses = [Course(adapter, options, lambda *_: None, bool, self._parts.append) for _ in range(size)]
        for each in self._courses:
            each.play = partial(self._counted, each.play)  # type: ignore[method-assign]
        self._first, self._turns = Known(), 0

    def _counted(self, play: Any, phase: str, origin: str, scenario: Scenario, *more: Any, **named: Any) -> bool:
        self.played.append((phase, sha256(repr(to_data(scenario)).encode()).hexdigest()))
        return bool(play(phase, origin, scenario, *more, **named))

    def submit(self, task: Task) -> "Future[Answer]":
        if self._first.confirmed is None:
            self._first = task.known
        parts = []
        self._turns += 1
        for each in task.items:
            self._parts.clear()
            self._courses[self._turns % self.size].play_item(each, self._first)
            parts.append([*self._parts])
        done: Future[Answer] = Future()
        done.set_result(Came(self._introduction, parts, interrupted=False))
        return done

    def halt(self) -> None: ...

    def close(self, patience: float) -> None: ...


def by_several(adapter: Adapter, options: Options, size: int) -> Played:
    executor = Several(adapter, options, size)
    report = parallel.run_on(executor, options, lambda *_: None)
    return Played(sorted(executor.played), without_times(report))


class OneClusterAtATime(ReferenceAdapter):
    """As if it picked the clusters itself: walks are played in other sizes, and sequences are the same in the end."""

    name = "one cluster at a time"
    capabilities = replace(ReferenceAdapter.capabilities, picks_clusters=False)


def twins(capabilities: Capabilities, pairs: int = 6) -> list[Walk]:
    """Walks whose control sequences are the same scenario in the end, two by two."""
    met: dict[Any, Walk] = {}
    found: list[Walk] = []
    for walk in tour("quick"):
        for play in plays(sequence_of(walk), 4):
            sizes = sizes_for_histories(capabilities, len(play.histories))[0]
            scenario, left_out = realised(play.scenario(sizes), capabilities)
            other = met.setdefault((*scenario.disks.items(), scenario.commands), walk)
            if left_out and other is not walk and len(found) < 2 * pairs:
                found += [other, walk]
    return found


@pytest.mark.parametrize("adapter", [ReferenceAdapter(), OneClusterAtATime()], ids=["all", "one cluster at a time"])
def test_however_many_share_it_the_same_is_played_and_reported(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    walks = (*tour("quick")[::SOME], *twins(adapter.capabilities))
    monkeypatch.setattr(plan, "tour", lambda _: walks)
    monkeypatch.setattr(plan, "tour_of_images", lambda *claimed: tour_of_images(*claimed)[::40])
    few = replace(PROFILES["quick"], one_in={adapter.name: 200})
    monkeypatch.setitem(PROFILES, "quick", few)
    options = Options("quick", 3, 40, None, None, tmp_path / "r")
    alone = by_several(adapter, options, 1)
    assert len({phase for phase, _ in alone.scenarios}) == 9
    assert sum(phase == "drawn" for phase, _ in alone.scenarios) == 40
    for size in (2, 3):
        shared = by_several(adapter, options, size)
        assert shared.scenarios == alone.scenarios
        assert shared.report == alone.report
    in_this_process = without_times(course.run(lambda: adapter, options, lambda *_: None))
    assert in_this_process == alone.report
    assert alone.report["failures"] == []
    assert (alone.report["tour"]["in_part"] == {}) is adapter.capabilities.picks_clusters


def test_what_is_not_told_to_others_is_found_by_them_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """To know less costs time only: the report is the same."""
    adapter = ReferenceAdapter(host_with("hook-never-called"))
    monkeypatch.setattr(plan, "tour", lambda _: tour("quick")[::SOME])
    monkeypatch.setattr(plan, "families", lambda: ())
    monkeypatch.setattr(plan, "restarts", lambda *_: {})
    monkeypatch.setattr(plan, "tour_of_images", lambda *_: ())
    monkeypatch.setattr(Profile, "lengths", lambda _: [])
    options = Options("quick", 3, 1, None, None, tmp_path)
    told = course.run(lambda: adapter, options, lambda *_: None)
    late = by_several(adapter, options, 2)
    assert len(told.failures) >= 2
    without = without_times(told)
    for each in (*without["failures"], *late.report["failures"]):
        each.pop("saved", None)
        each.pop("reproduce", None)
    assert late.report == without
    assert len(late.scenarios) > 0


def test_in_how_many_sizes_a_walk_is_played_does_not_depend_on_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second walk is after an edge that only the first one takes; whoever plays that one."""
    first, second = (AddBitmap("d", "a", 512),), (ClearBitmap("d", "a"),)
    world = World("small", (("d", 1),), ())
    aims = edges_of(world, first)
    monkeypatch.setattr(plan, "tour", lambda _: (Walk(world, first, aims), Walk(world, second, aims)))
    options = Options("quick", 3, 1, None, None, tmp_path)
    adapter = OneClusterAtATime()
    played = {}
    for start_at in (0, 1):
        parts: list[Part] = []
        made = Course(adapter, options, lambda *_: None, bool, parts.append)
        for item in [*plan.Plan(adapter.name, adapter.capabilities, options).tour()][start_at:]:
            made.play_item(item, Known(()))
        played[start_at] = [each.scenarios for each in parts]
    assert played == {0: [1, 2], 1: [2]}


def test_an_edge_is_told_once_in_a_task_and_again_in_the_next() -> None:
    """That one may count where the other does not."""
    player = object.__new__(ItemPlayer)
    one, other = (Edge("write", "", state, "accepted") for state in ("here", "there"))
    told = []
    for edges in (({one}, {one, other}), ({one},)):
        player._parts, player._told = [[]], set()
        for each in edges:
            player._take(Part("tour", 0, 0, edges=each))
        told.append([part.edges for part in player._parts[0]])
    assert told == [[{one}, {other}], [{one}]]


# Real processes


@dataclass(frozen=True)
class Brief(Opening):
    """Opens an adapter in a worker's process; in the plan there are few worlds then, and few walks or none."""

    every: int = 0
    log: str = ""
    dies_in: int = -1
    killed: str = ""
    """A file `SCENARIO TIMES`: who begins its scenario of that number is killed, so many times in all."""

    def open(self) -> Adapter:
        return Logged(self) if self.name == "reference" else super().open()

    def plan_briefly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In this process, which plans."""
        every = self.every
        few_worlds = lambda _: worlds("quick")[2:] if every else ()  # noqa: E731
        monkeypatch.setattr(walks, "worlds", few_worlds)
        monkeypatch.setattr(reachable, "worlds", few_worlds)
        monkeypatch.setattr(plan, "tour", lambda scope: tour(scope)[::every] if every else ())
        monkeypatch.setattr(plan, "families", lambda: families()[:3])
        monkeypatch.setattr(plan, "restarts", lambda *claimed: dict([*restarts(*claimed).items()][:9]))
        monkeypatch.setattr(plan, "tour_of_images", lambda *claimed: tour_of_images(*claimed)[::40])
        monkeypatch.setattr(Profile, "lengths", lambda _: [100])


class Logged(ReferenceAdapter):
    """Writes down what it is asked, a line for each scenario."""

    def __init__(self, opening: Brief) -> None:
        self.opening = opening
        self.asked = ""
        self.begun = 0
        self.log = Path(opening.log, f"{os.getpid()}").open("w") if opening.log else None  # noqa: SIM115
        if opening.mistake:
            super().__init__(host_with(opening.mistake), opening.mistake)
        else:
            super().__init__()

    def reset(self, disks: dict[str, int]) -> None:
        self.written()
        self.asked = f"{disks}" if disks else ""
        if disks and self.opening.killed:
            self.begun += 1
            self.maybe_killed(Path(self.opening.killed))
        super().reset(disks)

    def maybe_killed(self, file: Path) -> None:
        number, times = map(int, file.read_text().split())
        if self.begun == number and times:
            file.write_text(f"{number} {times - 1}")
            os.kill(os.getpid(), signal.SIGKILL)

    def perform(self, command: Command, hint: Hint) -> Performed:
        self.asked += f" {command}"
        if self.opening.dies_in == len(self.asked.split("Bitmap(")):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().perform(command, hint)

    def happen(self, event: Event, hint: Hint) -> Performed:
        self.asked += f" {event}"
        return super().happen(event, hint)

    def written(self) -> None:
        if self.log and self.asked:
            print(sha256(self.asked.encode()).hexdigest(), file=self.log)

    def close(self) -> None:
        super().close()
        self.written()
        self.asked = ""
        if self.log:
            self.log.close()


def forget_few_worlds() -> None:
    """What is computed once in a process is not computed of the few worlds of a test for all others."""
    reachable.reachable.cache_clear()
    walks.tour.cache_clear()


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where temporary files go; afterwards there must be none, and no process either."""
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.syspath_prepend(Path(__file__).parents[3])  # the workers import this very file
    forget_few_worlds()
    yield place
    forget_few_worlds()
    assert multiprocessing.active_children() == []
    assert list(place.iterdir()) == []


def in_processes(jobs: int, opening: Opening, folder: Path, progress: Any = None, **more: Any) -> Report:
    options = Options("quick", 3, more.get("examples", 30), more.get("seconds"), None, folder / "reports")
    with pytest.MonkeyPatch.context() as monkeypatch:
        if isinstance(opening, Brief):
            opening.plan_briefly(monkeypatch)
        return parallel.run(opening, options, jobs, progress or (lambda *_: None))


def test_in_real_processes_the_same_is_played_and_reported(tmp_path: Path) -> None:
    found = []
    for jobs in (1, 2, 3):
        log = tmp_path / f"log {jobs}"
        log.mkdir()
        report = in_processes(jobs, Brief("reference", every=FEW, log=str(log)), tmp_path)
        assert report.conformant
        assert report.seconds > 0
        assert len(list(log.iterdir())) == jobs
        lines = sorted(line for each in log.iterdir() for line in each.read_text().splitlines())
        assert len(lines) == report.scenarios
        found.append((lines, without_times(report)))
    assert found[0] == found[1] == found[2]


def test_a_mistake_is_found_and_shortened_alike(tmp_path: Path) -> None:
    opening = Brief("reference", mistake="hook-never-called", every=FEW)
    one, three = (in_processes(jobs, opening, tmp_path / "r", examples=20) for jobs in (1, 3))
    assert one.safety is Verdict.UNSAFE
    assert len(one.failures) >= 2
    assert without_times(one) == without_times(three)
    assert [each.scenario for each in one.failures] == [each.scenario for each in three.failures]
    assert all(each.saved is not None and each.saved.exists() for each in three.failures)


def test_after_enough_failures_the_report_is_the_same_too(tmp_path: Path) -> None:
    """Whoever is ahead has played more than counts."""
    opening = Crashing("reference", every=FEW)
    one, two = (in_processes(jobs, opening, tmp_path / "r") for jobs in (1, 2))
    assert len(one.failures) >= ENOUGH_FAILURES
    assert one.phases["drawn"] == 0
    assert without_times(one) == without_times(two)


@dataclass(frozen=True)
class Crashing(Brief):
    """Opens what breaks."""

    def open(self) -> Adapter:
        super().open()
        return Breaking(self)


@dataclass(frozen=True)
class Defective(Brief):
    """Opens an adapter that has a mistake of the suite's own."""

    def open(self) -> Adapter:
        super().open()
        return WithADefect(self)


class WithADefect(Logged):
    """Its defect shows when a scenario begins."""

    def reset(self, disks: dict[str, int]) -> None:
        if disks:
            raise ZeroDivisionError("a defect")
        super().reset(disks)


class Breaking(Logged):
    """Breaks at the second command of every scenario, in words of the command's own."""

    count = 0

    def reset(self, disks: dict[str, int]) -> None:
        self.count = 0
        super().reset(disks)

    def perform(self, command: Command, hint: Hint) -> Performed:
        self.count += 1
        if self.count == 2:
            raise AdapterBroken(f"no {type(command).__name__} today")
        return super().perform(command, hint)


# The end


@dataclass(frozen=True)
class Small(Brief):
    """Without the families and the long histories."""

    def plan_briefly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().plan_briefly(monkeypatch)
        monkeypatch.setattr(plan, "families", lambda: ())
        monkeypatch.setattr(plan, "restarts", lambda *_: {})
        monkeypatch.setattr(plan, "tour_of_images", lambda *_: ())
        monkeypatch.setattr(Profile, "lengths", lambda _: [])


@pytest.mark.parametrize("number", [1, 30])
def test_what_a_killed_process_had_not_brought_back_is_played_again(number: int, tmp_path: Path) -> None:
    (tmp_path / "killed").write_text(f"{number} 1")
    opening = Small("reference", mistake="hook-never-called")
    whole = without_times(in_processes(2, opening, tmp_path / "r", examples=20))
    report = in_processes(2, replace(opening, killed=str(tmp_path / "killed")), tmp_path / "r", examples=20)
    again = without_times(report)
    assert again.pop("workers_died") == whole.pop("workers_died") + 1 == 1
    assert again.pop("played_again") > whole.pop("played_again") == 0
    assert again == whole
    told = f"a worker died; {report.played_again} item"
    assert told in str(printed.course(report))
    assert sum(told in str(line) for line in brief(report)) == 1


def test_an_item_that_kills_who_plays_it_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(start.DeadlyItem, match=r"item \d+ of '.*' \(seed 3\) .* \(killed by signal 9\): there is no"):
        in_processes(2, Small("reference", dies_in=3), tmp_path)


@dataclass(frozen=True)
class NeverOpens(Brief):
    """Whoever opens it is killed."""

    def open(self) -> Adapter:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().open()


def test_a_process_that_dies_twice_before_it_begins_is_an_error_and_never_a_pass(tmp_path: Path) -> None:
    with pytest.raises(parallel.ProcessDied, match=r"process .* \(killed by signal 9\): there is no result"):
        in_processes(2, NeverOpens("reference"), tmp_path)


def test_a_defect_in_a_process_is_told_with_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(start.DefectInProcess, match=r"(?s)Traceback .*ZeroDivisionError: a defect"):
        in_processes(2, Defective("reference"), tmp_path)


def test_an_adapter_that_cannot_be_opened_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(AdapterUnusable, match="not an executable file"):
        in_processes(2, Brief("qemu", daemon="nowhere"), tmp_path)
    with pytest.raises(LookupError, match="unknown mistake"):
        in_processes(2, Opening("reference", mistake="nonsense"), tmp_path)


def test_an_interrupt_ends_all_and_reports_what_was_found(tmp_path: Path) -> None:
    def progress(phase: str, done: int, of: int) -> None:
        if phase == "drawn":
            os.kill(os.getpid(), signal.SIGINT)

    report = in_processes(2, Brief("reference"), tmp_path, progress, examples=100000)
    assert report.interrupted
    assert report.phases["workflows"] == 8
    assert 0 < report.phases["drawn"] < 100000
    assert not report.conformant


def test_a_run_ends_when_its_time_is_over(tmp_path: Path) -> None:
    report = in_processes(2, Brief("reference"), tmp_path, examples=None, seconds=0.5)
    assert report.conformant
    assert report.phases["drawn"] > 0


DRIVER = """
import sys
sys.path.insert(0, {place!r})
from pathlib import Path
from cbtcheck.run.options import Options
from cbtcheck.run import parallel
from test_parallel import Brief
def progress(phase, done, of):
    print(phase, flush=True)
if __name__ == "__main__":
    import pytest
    Brief("reference").plan_briefly(pytest.MonkeyPatch())
    options = Options("quick", 3, 10**6, None, None, Path("reports"))
    parallel.run(Brief("reference"), options, 2, progress)
"""


def descendants(pid: int) -> set[int]:
    """The processes that this one has started, and these, and so on."""
    found: set[int] = set()
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(each.read_text().rpartition(")")[2].split()[1]) == pid:
                found |= {int(each.parent.name), *descendants(int(each.parent.name))}
    return found


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_whatever_ends_the_first_process_the_others_end_too(tmp_path: Path, home: Path, number: int) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(place=str(Path(__file__).parent)))
    environment = os.environ | {"TMPDIR": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, str(script)], cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert any(b"drawn" in line for line in process.stdout), "it has ended by itself"
    others = descendants(process.pid)
    assert len(others) >= 2, "two workers"
    process.send_signal(number)
    finished(process)
    eventually(lambda: not any(map(alive, others)), f"the end of {others}")
