"""The scenarios that failed in the last run on an adapter, for `--failed-first`: where they are kept, and their list.

They are the scenarios that the run has saved. Which of the saved ones are its own is in a list beside them, one name
a line. Where there is no list (an archive of reports may leave it out, since its name begins with a dot), all that
are saved for the adapter are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cbtcheck.host.saving import write_whole
from cbtcheck.scenario.scenario import Scenario, ScenarioError, load

LIST = ".failed-last-"
"""How the name of the list begins; the adapter's name follows."""


@dataclass(frozen=True)
class FailedBefore:
    """Scenarios that failed in the last run, by their file's name, and one line for each file that cannot be read."""

    scenarios: tuple[tuple[str, Scenario], ...] = ()
    unreadable: tuple[str, ...] = ()


def failed_before(reports: Path, adapter: str) -> FailedBefore:
    """Those of the last run on this adapter that saved in this directory. Raises nothing: what is wrong is told."""
    try:
        names = names_of_last(reports, adapter)
    except OSError as problem:
        return FailedBefore(unreadable=(f"{reports}: cannot be read: {problem.strerror}",))
    scenarios, unreadable = [], []
    for name in names:
        try:
            scenarios.append((name, load(reports / name)))
        except ScenarioError as problem:
            unreadable.append(str(problem))
    return FailedBefore(tuple(scenarios), tuple(unreadable))


def names_of_last(reports: Path, adapter: str) -> list[str]:
    """The names of the files; each begins with the adapter's name. Raises `OSError`."""
    saved = re.compile(rf"{re.escape(adapter)}-[a-z-]+-[0-9]+\.json")
    try:
        listed = (reports / f"{LIST}{adapter}").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        if not reports.exists():
            return []
        listed = sorted((each.name for each in reports.iterdir()), key=lambda name: (len(name), name))
    return [*dict.fromkeys(name for name in listed if saved.fullmatch(name))]


class Keeper:
    """Keeps the list while a run goes on, so that it is true however the run ends.

    A file of the last run stays in the list until this run has shown that it agrees, or has played all of its profile
    without seeing it again. `not_written` says in one line why the list is not there; "" if it is, or is not needed.
    """

    def __init__(self, reports: Path, adapter: str) -> None:
        self._reports, self._adapter = reports, adapter
        self._saved: list[str] = []
        self.not_written = ""
        self._before: list[str] | None = None

    def saved(self, name: str) -> None:
        """This run has saved a failing scenario under this name."""
        self._saved.append(name)
        self._write([*self._saved, *self._earlier()])

    def ended(self, agree: Iterable[str], failed_again: Sequence[str], whole: bool) -> None:
        """The run is over: which of the last run's agree now, which do not, and whether it played all there is."""
        gone = frozenset(agree)
        earlier = [name for name in self._earlier() if name not in gone and (not whole or name in failed_again)]
        if self._saved or earlier or self._earlier():
            self._write([*self._saved, *earlier])

    def _earlier(self) -> list[str]:
        if self._before is None:
            try:
                self._before = names_of_last(self._reports, self._adapter)
            except OSError:
                self._before = []
            self._before = [name for name in self._before if name not in self._saved]
        return self._before

    def _write(self, names: Iterable[str]) -> None:
        path = self._reports / f"{LIST}{self._adapter}"
        try:
            write_whole(path, "".join(f"{name}\n" for name in dict.fromkeys(names)).encode())
            self.not_written = ""
        except OSError as problem:
            self.not_written = f"{path}, the list for --failed-first, cannot be written: {problem.strerror}"
