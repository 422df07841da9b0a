"""What the commands that play on an adapter share: options, a caller's mistakes, and its opening and closing."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import click

from cbtcheck import adapters
from cbtcheck.adapter import Adapter, AdapterBroken, AdapterUnusable
from cbtcheck.cli.problem import DefectFound, Problem
from cbtcheck.cli.program import Program, check_program
from cbtcheck.host.temporary import NoPlace
from cbtcheck.run.start import DeadlyItem, DefectInProcess, ProcessDied

LOG_WIDTH = 100
"""Columns of a log: as wide as the pictures are meant to be."""

DAEMON = click.option(
    "--qemu-storage-daemon", "daemon", metavar="PATH", help="The daemon to check (default: the one in PATH)."
)
MISTAKE = click.option(
    "--mistake", metavar="NAME", help="Only with reference: a seeded mistake of it, to see what a failure looks like."
)
ALIGNMENT = click.option(
    "--alignment", type=click.Choice(["512", "1024", "2048", "4096"]), metavar="BYTES",
    help="Only with qemu: the sectors of its disks, 512 to 4096, to which it pads writes (default: none).",
)  # fmt: skip


def known_adapter(
    adapter: str, daemon: str | None, mistake: str | None, program: Program, alignment: str | None
) -> None:
    """The adapter exists, and each option is for it. Raises `click.UsageError`."""
    if adapter not in adapters.NAMES:
        raise click.UsageError(f"There is no adapter '{adapter}' (known: {', '.join(adapters.NAMES)}).")
    if mistake is not None and adapter != "reference":
        raise click.UsageError("--mistake is for the adapter 'reference' only.")
    if daemon is not None and adapter != "qemu":
        raise click.UsageError("--qemu-storage-daemon is for the adapter 'qemu' only.")
    if alignment is not None and adapter != "qemu":
        raise click.UsageError("--alignment is for the adapter 'qemu' only; others declare theirs (hello).")
    check_program(adapter, program)


def more_options(daemon: str | None, mistake: str | None, program: Program, alignment: str | None) -> str:
    """What else a line that reproduces a failure needs."""
    pairs = (("--qemu-storage-daemon", daemon), ("--mistake", mistake), ("--alignment", alignment))
    given = [f"{option} {shlex.quote(value)}" for option, value in pairs if value is not None]
    return " ".join([*given, program.options()]).strip()


@contextmanager
def opener_of(opening: adapters.Opening) -> Iterator[Callable[[], Adapter]]:
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
    except DefectInProcess as defect:
        click.echo(str(defect), err=True, nl=False)
        raise DefectFound("a process of this run has a defect of cbtspec itself: there is no result") from None
    except NoPlace as problem:
        raise Problem(str(problem)) from None
    except DeadlyItem as deadly:
        raise DefectFound(f"{deadly}; this is a defect of cbtspec itself, or the machine lacks memory") from None
    except ProcessDied as died:
        raise (DefectFound if died.defect else Problem)(str(died)) from None
    finally:
        for each in opened:
            with suppress(AdapterBroken):
                each.close()
