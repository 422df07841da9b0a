"""Runs the implementation's contracts through CrossHair: each in a process of its own, within its own budget.

Verdicts: *confirmed* (over all paths), *not refuted* (no counterexample within the budget), *counterexample* (with
its arguments, and only if the contract is false of them when plain Python runs it), *error* (no arguments meet the
preconditions, the contract asks what cannot be answered, CrossHair crashed or hung). A contract is as expected if it
is confirmed, or not refuted where no more is expected.

Processor time is what budgets count, and the search draws from a fixed seed, so that a busy machine is slower, not
different. Non-goals: what is proved of the specification; which contracts there are (`cbtimpl.contracts`).
"""

from __future__ import annotations

import ast
import json
import math
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Literal, get_args

from cbtimpl.contracts import arithmetic, job_end, life_cycle, sets, work_list
from cbtimpl.contracts.registry import CONTRACTS, Contract

Verdict = Literal["confirmed", "not refuted", "counterexample", "error"]
Change = Callable[[], None]
"""What is done to the implementation in the contract's process before it runs: seeds a mistake."""
Progress = Callable[[str, int, int], None]

GROUPS = {module.__name__.rpartition(".")[2]: module for module in (arithmetic, sets, life_cycle, work_list, job_end)}
"""The modules that declare contracts."""

PROCESSES = 2
SLACK = 4
"""So many times its budget may a contract take to be confirmed, on a processor that is shared with others."""

PATIENCE = 40
"""So many times its budget may a contract take by the clock, and half a minute more, before its process is ended."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one contract. `seconds` of processor time; `detail` is the counterexample, or what is wrong."""

    contract: str
    sentence: str
    functions: tuple[str, ...]
    expected: str
    verdict: Verdict
    detail: str
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Confirmed, or as good as was expected."""
        return self.verdict == "confirmed" or self.verdict == self.expected


@dataclass(frozen=True, slots=True)
class Task:
    """A contract to be run, on a changed implementation if there is a `change`."""

    contract: Contract
    change: Change | None = None


def declared(group: str | None = None) -> tuple[Contract, ...]:
    """All contracts, or those of one of the `GROUPS`."""
    return tuple(
        each for each in CONTRACTS.values() if group is None or each.holds.__module__ == GROUPS[group].__name__
    )


def run(tasks: Sequence[Task], progress: Progress = lambda *_: None) -> list[Outcome]:
    """Runs every task, `PROCESSES` at a time; the outcomes are in the order of the tasks."""
    outcomes: dict[int, Outcome] = {}
    for number, outcome in _finished(tasks):
        outcomes[number] = outcome
        progress("contracts", len(outcomes), len(tasks))
    return [outcomes[number] for number in range(len(tasks))]


@dataclass(frozen=True, slots=True)
class _Running:
    number: int
    process: BaseProcess
    until: float


def _finished(tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
    """Starts a process for each task, and yields each outcome when it comes. Leaves no process behind."""
    _warm_up()
    context = multiprocessing.get_context("fork")  # a child of a parent that has searched nothing: all start alike
    waiting = list(enumerate(tasks))[::-1]
    running: dict[Connection, _Running] = {}
    try:
        while waiting or running:
            while waiting and len(running) < PROCESSES:
                number, task = waiting.pop()
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_in_child, args=(task, theirs), daemon=True)
                before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
                try:
                    process.start()
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, before)
                theirs.close()
                limit = PATIENCE * task.contract.seconds + 30
                running[ours] = _Running(number, process, time.monotonic() + limit)
            heard = wait(list(running), timeout=1)
            for ours in [each for each in running if each in heard or running[each].until < time.monotonic()]:
                each = running.pop(ours)
                yield each.number, _heard(tasks[each.number].contract, ours, each.process)
    finally:
        for each in running.values():
            each.process.kill()
            each.process.join()


def _heard(contract: Contract, ours: Connection, process: BaseProcess) -> Outcome:
    """What a process has to say, which may be nothing."""
    try:
        if ours.poll():
            outcome = ours.recv()
            assert isinstance(outcome, Outcome)
            return outcome
        return _outcome(contract, "error", "CrossHair did not keep to its budget")
    except EOFError:
        process.join()
        return _outcome(contract, "error", f"CrossHair's process ended with code {process.exitcode}")
    finally:
        ours.close()
        _end(process)


def _end(process: BaseProcess) -> None:
    if process.is_alive():
        process.join(timeout=1)
        process.kill()
    process.join()


def _warm_up() -> None:
    import crosshair.core_and_libs  # noqa: F401 (slow, and not everybody has it)


def _in_child(task: Task, theirs: Connection) -> None:
    """Ctrl-C is for the parent, which ends this process; Z3 obeys it all the same."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    try:
        if task.change is not None:
            task.change()
        outcome = analysed(task.contract, seeded=task.change is not None)
    except KeyboardInterrupt:
        return
    except Exception as problem:  # whatever it is, it is this contract's error, and no other's
        outcome = _outcome(task.contract, "error", f"{type(problem).__name__}: {problem}")
    theirs.send(outcome)
    theirs.close()


def analysed(contract: Contract, seeded: bool = False) -> Outcome:
    """What CrossHair says of one contract, here and now; `seeded`: where a mistake is known to be."""
    from crosshair.core_and_libs import analyze_function, run_checkables
    from crosshair.options import AnalysisKind, AnalysisOptionSet

    # By itself a path gets the root of the budget, and Z3 half of that by the clock: right where one path is looked
    # for, and too little on a busy machine where every path is to be confirmed.
    options = AnalysisOptionSet(
        analysis_kind=[AnalysisKind.PEP316],
        per_condition_timeout=contract.seconds if seeded else contract.seconds * SLACK,
        per_path_timeout=math.sqrt(contract.seconds) if seeded else contract.seconds,
        report_all=True,
    )
    begun = time.process_time()
    messages = run_checkables(analyze_function(contract.holds, options))
    seconds = time.process_time() - begun
    said = sorted((message.state.name, message.message) for message in messages)
    match [state for state, _ in said]:
        case ["CONFIRMED"]:
            return _outcome(contract, "confirmed", "", seconds)
        case ["CANNOT_CONFIRM"]:
            return _outcome(contract, "not refuted", "", seconds)
        case ["POST_FAIL" | "POST_ERR" | "EXEC_ERR"]:
            verdict, detail = replayed(contract, said[0][1])
            return _outcome(contract, verdict, detail, seconds)
        case []:
            return _outcome(contract, "error", "CrossHair sees no contract in it", seconds)
    return _outcome(contract, "error", "; ".join(message for _, message in said), seconds)


def replayed(contract: Contract, message: str) -> tuple[Verdict, str]:
    """Runs a counterexample in plain Python: what CrossHair found must be false there, too."""
    _, found, text = message.partition("when calling ")
    if not found:
        return "error", message
    try:
        call = _call(text)
        positional = [ast.literal_eval(each) for each in call.args]
        named = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError):
        return "error", message
    shown = ast.unparse(call)
    try:
        if contract.holds(*positional, **named):
            return "error", f"is true when Python runs it: {shown}"
    except LookupError as problem:
        return "error", f"{type(problem).__name__}: {problem} in {shown}"
    except Exception as problem:  # the implementation may raise whatever it likes: it should not
        return "counterexample", f"{shown}: {type(problem).__name__}: {problem}"
    return "counterexample", shown


def _call(text: str) -> ast.Call:
    """The longest beginning of a text that is a call."""
    for end in sorted((index + 1 for index, sign in enumerate(text) if sign == ")"), reverse=True):
        try:
            tree = ast.parse(text[:end], mode="eval").body
        except SyntaxError:
            continue
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            return tree
    raise SyntaxError(text)


def _outcome(contract: Contract, verdict: Verdict, detail: str, seconds: float = 0.0) -> Outcome:
    return Outcome(
        contract.name, contract.sentence, contract.functions, contract.expected, verdict, detail, round(seconds, 2)
    )


def to_json(outcomes: Sequence[Outcome], seconds: float, mistakes: Sequence[str] | None = None) -> str:
    """The outcomes as one JSON document; `seconds` is what the whole run took by the clock.

    With `mistakes`, those that were seeded, in the order of the outcomes.
    """
    rows = [{**asdict(each), "as_expected": each.as_expected} for each in outcomes]
    if mistakes is not None:
        rows = [{"mistake": name, **row} for name, row in zip(mistakes, rows, strict=True)]
    counts = {verdict: sum(each.verdict == verdict for each in outcomes) for verdict in get_args(Verdict)}
    document = {"format": "cbtspec-contracts", "version": 1, "seconds": round(seconds, 1), "counts": counts}
    return json.dumps({**document, "contracts": rows}, indent=2) + "\n"
