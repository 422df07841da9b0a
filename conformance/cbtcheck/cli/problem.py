"""What a caller can put right, in one line, and places that are looked at before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from cbtcheck.host.printable import plain
from cbtcheck.scenario.verdict import EXIT_CODES


class Problem(click.ClickException):
    """Something that the caller can put right, in one line."""

    exit_code = EXIT_CODES["usage"]

    def show(self, file: Any = None) -> None:
        """One line on stderr."""
        click.echo(f"cbtspec: {plain(' '.join(self.format_message().split()))}", err=True)


class NotWritten(Problem):
    """Something that was asked for cannot be written."""

    exit_code = EXIT_CODES["output"]


class DefectFound(Problem):
    """Something that only we can put right; a traceback was shown."""

    exit_code = EXIT_CODES["internal"]


def check_writable(path: Path, option: str) -> None:
    """Whether a file could be written there, without leaving one."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            return  # a pipe or a device: opening it may wait for ever
        existed = path.exists()
        path.open("ab").close()
        if not existed:
            path.unlink()
    except OSError as problem:
        raise Problem(f"{option}: {path} cannot be written: {problem.strerror}; name another file") from None


@contextmanager
def directory(path: Path) -> Iterator[None]:
    """A directory that can be written to; if nothing is, and it was made for this, it is gone afterwards."""
    try:
        made = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(parents=True, exist_ok=True)
        check_writable(path / f".cbtspec-{os.getpid()}", "--reports")
    except OSError as problem:
        raise Problem(f"--reports: {path} cannot be written: {problem.strerror}; name another directory") from None
    try:
        yield
    finally:
        with suppress(OSError):
            for each in made:
                each.rmdir()
