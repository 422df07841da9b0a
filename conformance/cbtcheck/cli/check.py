"""`cbtspec check`: an implementation against the specification."""

from __future__ import annotations

import secrets
from difflib import get_close_matches
from pathlib import Path

import click

from cbtcheck import adapters
from cbtcheck.cli.adapter_options import ALIGNMENT, DAEMON, MISTAKE, known_adapter, more_options
from cbtcheck.cli.exit_codes import EPILOG
from cbtcheck.cli.imports import importing
from cbtcheck.cli.program import SECONDS, Program, program_options
from cbtcheck.report.outputs import Outputs, output_options

PINNED_SEED = 20160121


@click.command("check", epilog=EPILOG)
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
@click.option("--resume", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Record what is done in this folder, and go on where the same run has stopped.")  # fmt: skip
@click.option("--cluster", metavar="ADDRESS", help="Play on the workers of this dask.distributed scheduler.")
@click.option("-x", "--exitfirst", "first", is_flag=True, help="Stop at the first failure that comes again.")
@click.option("--failed-first", is_flag=True,
              help="Begin with what failed in the last run on this adapter, as --reports has it.")  # fmt: skip
@click.option("--only", metavar="NAME", help="Only this property (its ID), command or event (as in scenario files).")
@click.option("-v", "--verbose", is_flag=True, help="Also print what came of every command and property, in tables.")
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
@ALIGNMENT
def check_command(
    adapter: str, profile: str, seed: int | None, examples: int | None, seconds: float | None, jobs: int,
    only: str | None, outputs: Outputs, form: str, reports: Path, daemon: str | None, mistake: str | None,
    most_seconds: float | None, program: Program, first: bool, failed_first: bool, verbose: bool,
    resume: Path | None, cluster: str | None, alignment: str | None,
) -> int:  # fmt: skip
    """Checks an implementation against the specification.

    That is the built-in reference, a real qemu-storage-daemon, or (exec) anything else, behind a program that speaks
    the adapter protocol: cbtspec check exec -- ./my-adapter
    """
    known_adapter(adapter, daemon, mistake, program, alignment)
    if examples is not None and seconds is not None:
        raise click.UsageError("--examples and --time exclude each other.")
    if resume is not None or cluster is not None:
        _in_pieces(seconds, jobs, cluster, failed_first, seed, profile)
    with importing():
        from cbtcheck.cli import checking
        from cbtcheck.run.failed_before import failed_before
        from cbtcheck.run.options import Options
    name = _known_name(only)
    if seconds is not None:
        _is_drawn(name)
    if seed is None:
        seed = secrets.randbelow(1 << 32) if profile == "deep" else PINNED_SEED
    before = failed_before(reports, adapter) if failed_first else None
    options = Options(profile, seed, examples, seconds, name, reports, most_seconds, first, before)
    opening = adapters.Opening(adapter, daemon, mistake, program.command, program.limits, int(alignment or 1))
    printed = checking.Printed(form, verbose, more_options(daemon, mistake, program, alignment))
    how = checking.How(jobs, resume, cluster)
    return checking.check(opening, options, how, outputs, printed)


def _in_pieces(
    seconds: float | None, jobs: int, cluster: str | None, failed_first: bool, seed: int | None, profile: str
) -> None:
    """What does not go with `--resume` and `--cluster`: what is played must be known beforehand."""
    if seconds is not None:
        raise click.UsageError("--time does not go with --resume and --cluster; say --examples, how many.")
    if failed_first:
        raise click.UsageError("--failed-first does not go with --resume and --cluster.")
    if cluster is not None and jobs != 1:
        raise click.UsageError("--jobs and --cluster exclude each other: each worker's threads play.")
    if profile == "deep" and seed is None:
        raise click.UsageError("with --profile deep, --resume and --cluster need a --seed.")


def _known_name(only: str | None) -> str | None:
    if only is None:
        return None
    from cbtcheck.run.wanted import names_for_only

    names = names_for_only()
    for name in names:
        if name.lower() == only.lower():
            return name
    near = get_close_matches(only.lower(), [name.lower() for name in names], n=3, cutoff=0.5)
    meant = [name for each in near for name in names if name.lower() == each]
    guess = f" Did you mean {' or '.join(meant)}?" if meant else ""
    known = f"(known: {', '.join(names)})"
    raise click.UsageError(f"--only: there is no property, command or event '{only}'.{guess} {known}")


def _is_drawn(only: str | None) -> None:
    """Whether anything can be drawn for a time: restarts cannot, they are listed beforehand."""
    from cbtcheck.run.wanted import only_of_images

    if only_of_images(only):
        raise click.UsageError(f"--time does not go with --only {only}: restarts are not drawn for a time; "
                               "say --examples, how many.")  # fmt: skip
