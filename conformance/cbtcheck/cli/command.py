"""The command `cbtspec`: options, exit codes, and one clear line for whatever goes wrong."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from cbtcheck.cli.adapter_options import EPILOG
from cbtcheck.cli.problem import Problem
from cbtcheck.host.version import VERSION
from cbtcheck.scenario.verdict import EXIT_CODES


class _NobodyReads(Exception):
    """Standard output is closed."""


SUBCOMMANDS = {
    "bitmaps": "bitmaps_command",
    "check": "check_command", "contracts": "contracts_command", "crash": "crash_command", "explore": "explore",
    "judge": "judge_command", "oracle": "oracle_command",
    "prove": "prove_command", "refine": "refine", "replay": "replay_command", "smoke": "smoke_command",
    "tap": "tap_command", "tour": "tour_command", "vectors": "vectors_command", "verify": "verify_command",
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
        module = importlib.import_module(f"cbtcheck.cli.{cmd_name}")
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
