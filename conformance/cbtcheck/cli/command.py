"""The command `cbtspec`: options, exit codes, and one clear line for whatever goes wrong."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from cbtcheck.cli.exit_codes import EPILOG
from cbtcheck.cli.imports import importing
from cbtcheck.cli.problem import Problem
from cbtcheck.host.version import VERSION
from cbtcheck.scenario.verdict import EXIT_CODES


class _NobodyReads(Exception):
    """Standard output is closed."""


SUBCOMMANDS = {
    "bitmaps": ("bitmaps_command", "Says which bitmaps a qcow2 image has, and what they are worth."),
    "check": ("check_command", "Checks an implementation against the specification."),
    "contracts": ("contracts_command", "Checks the contracts of the reference with CrossHair."),
    "crash": ("crash_command", "Judges what a crash of a real QEMU can leave of its image."),
    "explore": ("explore", "Explores the specification exhaustively at small scope."),
    "judge": ("judge_command", "Judges a backup tool by what its restore gives back."),
    "oracle": ("oracle_command", "Answers what must and may be dirty: JSON lines in and out."),
    "prove": ("prove_command", "Proves every theorem about the specification."),
    "refine": ("refine", "Walks the reference and the specification side by side."),
    "replay": ("replay_command", "Plays a saved scenario, and shows what happens."),
    "smoke": ("smoke_command", "Tries a few exchanges with an adapter: is the adapter right?"),
    "tap": ("tap_command", "Records what goes over QEMU's QMP socket into a log."),
    "tour": ("tour_command", "Shows the scenarios that take every edge of the specification."),
    "vectors": ("vectors_command", "Writes the test vectors: scenarios and what is expected."),
    "verify": ("verify_command", "Judges a recorded history: a trace, or a QMP log."),
}
"""Subcommands, imported when they are called: their names in their modules, and what the list says of them."""


class Main(click.Group):
    """The group, with the documented exit codes in place of click's own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all subcommands."""
        return sorted([*super().list_commands(ctx), *SUBCOMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name; None if there is none."""
        if cmd_name not in SUBCOMMANDS:
            return super().get_command(ctx, cmd_name)
        with importing():
            module = importlib.import_module(f"cbtcheck.cli.{cmd_name}")
        found: click.Command = getattr(module, SUBCOMMANDS[cmd_name][0])
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of subcommands, for which none of them is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in sorted(SUBCOMMANDS.items())])

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Runs the command line, and exits."""
        options["standalone_mode"] = False
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
