"""A run of `cbtspec check`, from its options to its exit code: played, printed, and written in its other forms."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console

from cbtcheck import adapters
from cbtcheck.adapter import Adapter, AdapterBroken
from cbtcheck.cli.adapter_options import LOG_WIDTH, opener_of
from cbtcheck.cli.problem import Problem, check_writable, directory
from cbtcheck.follow.play import last_words
from cbtcheck.host import temporary
from cbtcheck.host.progress import ProgressLine
from cbtcheck.report.exported import to_json
from cbtcheck.report.outputs import Outputs
from cbtcheck.report.plain_console import console
from cbtcheck.report.printed import print_report
from cbtcheck.run import course, parallel
from cbtcheck.run.cluster import NoCluster, cluster
from cbtcheck.run.executors import Executor, Processes, greeting
from cbtcheck.run.not_begun import not_begun
from cbtcheck.run.options import Options
from cbtcheck.run.outcome import outcome
from cbtcheck.run.record import NotThisRun, Record
from cbtcheck.run.report import Report
from cbtcheck.scenario.verdict import EXIT_CODES


@dataclass(frozen=True)
class Printed:
    """How the report is printed on stdout.

    `form` is pretty or json, `verbose` whether the tables are shown; `more` are the options that a line needs which
    plays a failure again.
    """

    form: str
    verbose: bool
    more: str


@dataclass(frozen=True)
class How:
    """Who plays: `jobs` processes here, or the workers of a `cluster`. In the folder `resume` is what is done."""

    jobs: int = 1
    resume: Path | None = None
    cluster: str | None = None


def check(opening: adapters.Opening, options: Options, how: How, outputs: Outputs, printed: Printed) -> int:
    """Plays, prints and writes; returns the exit code. Raises `Problem`."""
    for option, path in outputs.files():
        check_writable(path, option)
    with directory(options.reports), opener_of(opening) as opener:
        temporary.place()  # at the end of a run it would be late to say so
        try:
            with ProgressLine(Console(stderr=True)) as progress:
                report = _run(opener, opening, options, how, progress)
            said = ""
        except AdapterBroken as broken:
            report = not_begun(opening.name, opening.command, options, last_words(broken))
            said = f"broken: {last_words(broken)}"
    written = True
    try:
        _print(report, outputs, printed, said)
    finally:  # whatever becomes of standard output: what was found is not lost
        written = _write(outputs, report, printed.more)
    outputs.annotate(report, printed.more, printed.form == "pretty")
    code = code_of(report)
    nothing_failed = code in (EXIT_CODES["conformant"], EXIT_CODES["incomplete"])
    return EXIT_CODES["output"] if nothing_failed and not written else code


def _run(
    opener: Callable[[], Adapter], opening: adapters.Opening, options: Options, how: How,
    progress: ProgressLine,
) -> Report:  # fmt: skip
    """The run, in this process or in several."""
    if how.jobs == 1 and how.resume is None and how.cluster is None:
        return course.run(opener, options, progress)
    try:
        return _shared(opening, options, how, progress)
    except parallel.NothingToOpen as problem:
        raise Problem(str(problem.args[0])) from None
    except (NotThisRun, NoCluster) as problem:
        raise Problem(str(problem)) from None


def _shared(opening: adapters.Opening, options: Options, how: How, progress: ProgressLine) -> Report:
    """The run by several workers, which goes on where it was interrupted."""

    def say(line: str) -> None:
        click.echo(f"cbtspec: {line}", err=True)

    with ExitStack() as stack:
        record = None
        if how.resume is not None:
            try:
                record = stack.enter_context(closing(Record(how.resume, opening, options)))
            except OSError as problem:
                name = problem.filename or how.resume
                raise Problem(f"--resume: {name} cannot be used: {problem.strerror}") from None
            options = replace(options, reports=record.counterexamples)
        executor: Executor
        if how.cluster is not None:
            executor = stack.enter_context(cluster(how.cluster, greeting(opening, options), say))
        else:
            home = stack.enter_context(temporary.directory())
            executor = Processes(how.jobs, greeting(opening, options, home))
        return parallel.run_on(executor, options, progress, record, say)


def _print(report: Report, outputs: Outputs, printed: Printed, said: str) -> None:
    """The report on stdout; in place of a pretty one what is `said`, if there is nothing else to say."""
    if printed.form == "json":
        click.echo(to_json(report, printed.more), nl=False)
    elif said:
        click.echo(said)
    else:
        with outputs.fenced():
            print_report(report, console(LOG_WIDTH), printed.more, printed.verbose)


def _write(outputs: Outputs, report: Report, more: str) -> bool:
    """The report in its other forms; one that cannot be written does not keep the others from being written.

    Says what could not be written, scenarios too; returns whether all was.
    """
    found = (*report.failures, *report.not_repeatable)
    unsaved = dict.fromkeys(each.not_saved for each in found if each.not_saved)
    problems = [f"--reports: {each}; the report has the scenarios" for each in unsaved]
    if report.list_not_written:
        problems.append(f"--reports: {report.list_not_written}")
    for option, path in outputs.files():
        try:
            outputs.write(option, path, report, more)
        except OSError as problem:
            problems.append(f"{option}: {path} cannot be written: {problem.strerror}")
    for each in problems:
        Problem(each).show()
    return not problems


def code_of(report: Report) -> int:
    """The documented exit code of a run."""
    return outcome(report).code
