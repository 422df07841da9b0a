"""The command `cbtspec`: options, exit codes, and one clear line for whatever goes wrong."""

from __future__ import annotations

import importlib
import io
import os
import secrets
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from cbtcheck import adapters
from cbtcheck.adapter import Adapter, AdapterBroken, AdapterUnusable
from cbtcheck.commands.problem import DefectFound, Problem, check_writable, directory
from cbtcheck.commands.program import SECONDS, Program, check_program, program_options
from cbtcheck.play import Frame, last_words, verdict_of
from cbtcheck.printable import plain
from cbtcheck.progress import ProgressLine
from cbtcheck.reports.exported import to_json
from cbtcheck.reports.outcome import outcome
from cbtcheck.reports.outputs import Outputs, output_options
from cbtcheck.reports.picture import picture
from cbtcheck.reports.plain_console import console
from cbtcheck.reports.printed import COLOUR, print_report
from cbtcheck.reports.report import Report
from cbtcheck.rules import rule
from cbtcheck.running import course, parallel
from cbtcheck.running.failed_before import failed_before
from cbtcheck.running.not_begun import not_begun
from cbtcheck.running.repeat import Outcome, Repeated, repeated
from cbtcheck.running.start import ProcessDied
from cbtcheck.running.wanted import names_for_only
from cbtcheck.scenario import Scenario, ScenarioError, load
from cbtcheck.verdict import EXIT_CODES, Finding, Verdict, exit_code
from cbtcheck.version import VERSION

PINNED_SEED = 20160121
LOG_WIDTH = 100

EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["conformant"]:>3}  conformant: all that was run agrees
  {EXIT_CODES["wasteful"]:>3}  wasteful: safe, but more is reported than there need be
  {EXIT_CODES["unsafe or diverging"]:>3}  unsafe or diverging: a write is lost, or something is not as specified
  {EXIT_CODES["broken"]:>3}  broken: the implementation crashed, hung or answered garbage
  {EXIT_CODES["ledger"]:>3}  an expected failure in the ledger fails no more, or in another way
  {EXIT_CODES["not repeatable"]:>3}  not repeatable: something failed once, and not when it was played again
  {EXIT_CODES["incomplete"]:>3}  agrees, incomplete: nothing failed, but not all of the profile was played (--only)
  {EXIT_CODES["usage"]:>3}  usage: cbtspec was not called as it can be, or nothing could be run
  {EXIT_CODES["internal"]:>3}  a defect of cbtspec itself, with a traceback to report
  {EXIT_CODES["output"]:>3}  nothing failed, but a report, a scenario or standard output could not be written
  {EXIT_CODES["interrupted"]:>3}  interrupted by Ctrl-C or --time-limit; what was found until then is printed
"""


class _NobodyReads(Exception):
    """Standard output is closed."""


SUBCOMMANDS = {
    "contracts": "contracts_command", "explore": "explore", "oracle": "oracle_command", "prove": "prove_command",
    "refine": "refine", "smoke": "smoke_command", "tour": "tour_command", "vectors": "vectors_command",
    "verify": "verify_command",
}  # fmt: skip
"""Subcommands that are imported when they are called, by what they are called in their modules."""


class Main(click.Group):
    """The group, with the documented exit codes in place of click's own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all subcommands."""
        return sorted([*super().list_commands(ctx), *SUBCOMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name; None if there is none."""
        if cmd_name not in SUBCOMMANDS:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"cbtcheck.commands.{cmd_name}")
        found: click.Command = getattr(module, SUBCOMMANDS[cmd_name])
        return found

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Runs the command line, and exits."""
        options["standalone_mode"] = False
        with suppress(ValueError):  # not the main thread: somebody else's signals
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as tidily as Ctrl-C
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a log in ASCII is no reason to crash
        try:
            code = super().main(args, *rest, **options)
        except click.exceptions.NoArgsIsHelpError as problem:
            click.echo(problem.format_message(), err=True)
            code = EXIT_CODES["usage"]
        except click.UsageError as problem:
            Problem(f"{problem.format_message()} Try '{_path(problem)} --help'.").show()
            code = EXIT_CODES["usage"]
        except Problem as problem:
            problem.show()
            code = problem.exit_code
        except click.ClickException as problem:
            Problem(problem.format_message()).show()
            code = EXIT_CODES["usage"]
        except (KeyboardInterrupt, click.Abort):
            click.echo("cbtspec: interrupted", err=True)
            code = EXIT_CODES["interrupted"]
        except _NobodyReads:
            # Whoever read the output has seen enough; what is still buffered must not fail at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = EXIT_CODES["usage"]
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the subcommand. A broken pipe gets another name: click and rich exit with 1, which means waste."""
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, SystemExit):
            raise _NobodyReads from None


def _path(problem: click.UsageError) -> str:
    return problem.ctx.command_path if problem.ctx is not None else "cbtspec"


@click.group(cls=Main, epilog=EPILOG)
@click.version_option(VERSION, prog_name="cbtspec", message="%(prog)s %(version)s")
def main() -> None:
    """The conformance suite of changed block tracking."""


DAEMON = click.option(
    "--qemu-storage-daemon", "daemon", metavar="PATH", help="The daemon to check (default: the one in PATH)."
)
MISTAKE = click.option(
    "--mistake", metavar="NAME", help="Only with reference: a seeded mistake of it, to see what a failure looks like."
)


@main.command(epilog=EPILOG)
@click.argument("adapter", default="reference", metavar="[reference|qemu|exec]")
@click.option("--profile", type=click.Choice(["quick", "ci", "deep"]), default="quick", show_default=True,
              help="How much to run.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), metavar="INT",
              help=f"What to draw from (default: {PINNED_SEED}; with --profile deep: a new one).")  # fmt: skip
@click.option("--examples", type=click.IntRange(min=1), metavar="N", help="How many scenarios to draw.")
@click.option("--time", "seconds", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="How long to draw scenarios.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="How many processes share the scenarios. What is played does not depend on it.")  # fmt: skip
@click.option("-x", "--exitfirst", "first", is_flag=True, help="Stop at the first failure that comes again.")
@click.option("--failed-first", is_flag=True,
              help="Begin with what failed in the last run on this adapter, as --reports has it.")  # fmt: skip
@click.option("--only", metavar="NAME", help="Only this property (its ID) or command (as in scenario files).")
@output_options
@click.option("--format", "form", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True,
              help="The report on stdout.")  # fmt: skip
@click.option("--reports", type=click.Path(path_type=Path), default=Path("reports"), show_default=True,
              metavar="DIR", help="Where failing scenarios are saved.")  # fmt: skip
@click.option("--time-limit", "most_seconds", type=SECONDS, metavar="SECONDS",
              help="How long the whole run may take; if that is over, it counts as interrupted.")  # fmt: skip
@program_options
@DAEMON
@MISTAKE
def check(
    adapter: str, profile: str, seed: int | None, examples: int | None, seconds: float | None, jobs: int,
    only: str | None, outputs: Outputs, form: str, reports: Path, daemon: str | None, mistake: str | None,
    most_seconds: float | None, program: Program, first: bool, failed_first: bool,
) -> int:  # fmt: skip
    """Checks an implementation against the specification.

    That is the built-in reference, a real qemu-storage-daemon, or (exec) anything else, behind a program that speaks
    the adapter protocol: cbtspec check exec -- ./my-adapter
    """
    _known_adapter(adapter, daemon, mistake, program)
    if examples is not None and seconds is not None:
        raise click.UsageError("--examples and --time exclude each other.")
    name = _known_name(only)
    if seed is None:
        seed = secrets.randbelow(1 << 32) if profile == "deep" else PINNED_SEED
    before = failed_before(reports, adapter) if failed_first else None
    options = course.Options(profile, seed, examples, seconds, name, reports, most_seconds, first, before)
    more = _more_options(daemon, mistake, program)
    for option, path in outputs.files():
        check_writable(path, option)
    opening = adapters.Opening(adapter, daemon, mistake, program.command, program.limits)
    with directory(reports), _opener(opening) as opener:
        try:
            with ProgressLine(Console(stderr=True)) as progress:
                report = _run(opener, opening, options, jobs, progress)
            said = ""
        except AdapterBroken as broken:
            report = not_begun(adapter, program.command, options, last_words(broken))
            said = f"broken: {last_words(broken)}"
    written = True
    try:
        _print(report, outputs, form, more, said)
    finally:  # whatever becomes of standard output: what was found is not lost
        written = _write(outputs, report, more)
    outputs.annotate(report, more, form == "pretty")
    code = code_of(report)
    nothing_failed = code in (EXIT_CODES["conformant"], EXIT_CODES["incomplete"])
    return EXIT_CODES["output"] if nothing_failed and not written else code


@main.command(epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--adapter", default="reference", show_default=True, metavar="[reference|qemu|exec]",
              help="What to play it on.")  # fmt: skip
@program_options
@DAEMON
@MISTAKE
def replay(file: Path, adapter: str, daemon: str | None, mistake: str | None, program: Program) -> int:
    """Plays a saved scenario, and shows what happens."""
    _known_adapter(adapter, daemon, mistake, program)
    scenario = _loaded(file)
    with _opener(adapters.Opening(adapter, daemon, mistake, program.command, program.limits)) as opener:
        try:
            opened = opener()
            version = opened.version
            frames, findings = course.replay(opened, scenario)
            came = _again(opened, scenario, frames, findings) if findings else None
        except AdapterBroken as broken:
            click.echo(f"broken: {last_words(broken)}")
            return EXIT_CODES["broken"]
    out = _console()
    out.print(plain(f"{scenario.title or file.name} on {version}"), markup=False, highlight=False, soft_wrap=True)
    if scenario.story:
        out.print(plain(scenario.story), markup=False, highlight=False, soft_wrap=True)
    out.print()
    out.print(picture(frames, scenario.block))
    for each in findings:
        out.print(str(each), style=COLOUR[each.verdict], markup=False, highlight=False, soft_wrap=True)
    for said in dict.fromkeys(map(rule, findings)):
        out.print(f"Rule: {said}", markup=False, highlight=False, soft_wrap=True)
    if came is None:
        out.print("agrees at every step", style="green")
        return EXIT_CODES["conformant"]
    if came.counts:
        if came.again < came.replays:
            out.print(came.in_words)
        return exit_code(verdict_of(findings))
    out.print(f"not repeatable: {came.in_words}", style=COLOUR[Verdict.NOT_REPEATABLE])
    return exit_code(Verdict.NOT_REPEATABLE)


def _again(adapter: Adapter, scenario: Scenario, frames: list[Frame], findings: list[Finding]) -> Repeated:
    """Whether what was found comes again."""

    def once_more() -> Outcome:
        played, found = course.replay(adapter, scenario)
        return found, played

    return repeated((findings, frames), once_more, lambda: adapter.exhausted)


def _run(
    opener: Callable[[], Adapter], opening: adapters.Opening, options: course.Options, jobs: int,
    progress: ProgressLine,
) -> Report:  # fmt: skip
    """The run, in this process or in several."""
    if jobs == 1:
        return course.run(opener, options, progress)
    try:
        return parallel.run(opening, options, jobs, progress)
    except parallel.NothingToOpen as problem:
        raise Problem(str(problem.args[0])) from None


def _print(report: Report, outputs: Outputs, form: str, more: str, said: str) -> None:
    """The report on stdout; in place of a pretty one what is `said`, if there is nothing else to say."""
    if form == "json":
        click.echo(to_json(report, more), nl=False)
    elif said:
        click.echo(said)
    else:
        with outputs.fenced():
            print_report(report, _console(), more)


def _write(outputs: Outputs, report: Report, more: str) -> bool:
    """The report in its other forms; one that cannot be written does not keep the others from being written.

    Says what could not be written, scenarios too; returns whether all was.
    """
    unsaved = dict.fromkeys(each.not_saved for each in report.failures if each.not_saved)
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


# What a caller may get wrong, found before anything runs


def _known_adapter(adapter: str, daemon: str | None, mistake: str | None, program: Program) -> None:
    if adapter not in adapters.NAMES:
        raise click.UsageError(f"There is no adapter '{adapter}' (known: {', '.join(adapters.NAMES)}).")
    if mistake is not None and adapter != "reference":
        raise click.UsageError("--mistake is for the adapter 'reference' only.")
    if daemon is not None and adapter != "qemu":
        raise click.UsageError("--qemu-storage-daemon is for the adapter 'qemu' only.")
    check_program(adapter, program)


def _known_name(only: str | None) -> str | None:
    if only is None:
        return None
    names = names_for_only()
    for name in names:
        if name.lower() == only.lower():
            return name
    near = get_close_matches(only.lower(), [name.lower() for name in names], n=3, cutoff=0.5)
    meant = [name for each in near for name in names if name.lower() == each]
    guess = f" Did you mean {' or '.join(meant)}?" if meant else ""
    raise click.UsageError(f"--only: there is no property or command '{only}'.{guess} (known: {', '.join(names)})")


def _more_options(daemon: str | None, mistake: str | None, program: Program) -> str:
    """What else a line that reproduces a failure needs."""
    pairs = (("--qemu-storage-daemon", daemon), ("--mistake", mistake))
    given = [f"{option} {shlex.quote(value)}" for option, value in pairs if value is not None]
    return " ".join([*given, program.options()]).strip()


def _loaded(file: Path) -> Scenario:
    try:
        return load(file)
    except ScenarioError as problem:
        raise Problem(str(problem)) from None


@contextmanager
def _opener(opening: adapters.Opening) -> Iterator[Callable[[], Adapter]]:
    """Opens adapters, and closes every one of them at the end, however that comes."""
    opened: list[Adapter] = []

    def opener() -> Adapter:
        try:
            new = opening.open()
        except LookupError as problem:
            raise Problem(str(problem.args[0]) if problem.args else str(problem)) from None
        opened.append(new)
        return new

    try:
        yield opener
    except AdapterUnusable as unusable:
        raise Problem(str(unusable)) from None
    except ProcessDied as died:
        raise (DefectFound if died.defect else Problem)(str(died)) from None
    finally:
        for each in opened:
            with suppress(AdapterBroken):
                each.close()


def _console() -> Console:
    """A console on stdout; a log is as wide as the pictures are meant to be."""
    return console(LOG_WIDTH)
