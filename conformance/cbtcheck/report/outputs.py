"""Where else the report of a run goes, besides what is printed: the options of `cbtspec check` for that."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cbtcheck.run.report import Report


SUMMARY = "GITHUB_STEP_SUMMARY"
"""The environment variable that names the file of the job's summary."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files to write, and whether GitHub is told."""

    junit: Path | None = None
    json: Path | None = None
    html: Path | None = None
    github: bool = False

    def files(self) -> Iterator[tuple[str, Path]]:
        """Each file that will be written, with the option that asks for it."""
        for option, path in (("--junit", self.junit), ("--json", self.json), ("--html", self.html)):
            if path is not None:
                yield option, path
        if self.github and os.environ.get(SUMMARY):
            yield f"--github: ${SUMMARY}", Path(os.environ[SUMMARY])

    def write(self, option: str, path: Path, report: Report, more_options: str = "") -> None:
        """Writes one of `files`. Raises `OSError`."""
        if option == "--junit":
            from cbtcheck.report.junit import write_junit

            write_junit(report, path)
        elif option == "--json":
            from cbtcheck.report.exported import write_json

            write_json(report, path, more_options)
        elif option == "--html":
            from cbtcheck.report.html_report import write_html

            write_html(report, path, more_options)
        else:
            from cbtcheck.report import github

            with path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(github.summary(report, more_options))

    def fenced(self) -> AbstractContextManager[None]:
        """For GitHub: what is printed on stdout meanwhile holds no workflow commands."""
        from cbtcheck.report import github

        return github.fenced(self.github)

    def annotate(self, report: Report, more_options: str, printed: bool) -> None:
        """GitHub's annotations, if they are wanted: on stdout, or on stderr if something else has that."""
        if self.github:
            from cbtcheck.report import github

            for each in github.workflow_commands(report, more_options):
                click.echo(each, err=not printed)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command these options; it gets them as one argument, `outputs`."""

    @functools.wraps(command)
    def with_outputs(**given: Any) -> Any:
        names = ("junit", "json", "html", "github")
        return command(outputs=Outputs(**{name: given.pop(f"to_{name}") for name in names}), **given)

    file = click.Path(path_type=Path)
    for option in (
        click.option("--github", "to_github", is_flag=True,
                     help=f"Also annotate the GitHub workflow, and write the job's summary (${SUMMARY})."),
        click.option("--html", "to_html", type=file, metavar="FILE", help="Also write the report as an HTML page."),
        click.option("--json", "to_json", type=file, metavar="FILE", help="Also write the report as JSON."),
        click.option("--junit", "to_junit", type=file, metavar="FILE", help="Also write the report as JUnit XML."),
    ):  # fmt: skip
        with_outputs = option(with_outputs)
    return with_outputs
