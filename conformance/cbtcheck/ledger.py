"""The ledger of expected failures: what implementations are known to do wrong, one reviewed file for each defect.

Every run first confirms each entry that is meant for the implementation and its version: it must still fail, in the
way that is written there. One that fails no more fails the run, so that the ledger stays true. `docs/ledger.md`
describes the fields. An entry may name a trigger (see `triggers`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any

import msgspec

from cbtcheck.play import Player, verdict_of
from cbtcheck.reports.report import LedgerResult
from cbtcheck.scenario import Scenario, ScenarioError, from_data
from cbtcheck.strict_json import refuse_duplicates
from cbtcheck.triggers import TRIGGERS, Trigger
from cbtcheck.verdict import Finding, Verdict


class _File(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    id: str
    title: str
    implementation: str
    what: str
    why: str
    verdict: str
    seen: str
    scenario: dict[str, Any]
    first_version: str = "0"
    fixed_in: str = ""
    trigger: str = ""
    attempts: Annotated[int, msgspec.Meta(ge=1)] = 1
    sometimes: bool = False


@dataclass(frozen=True)
class Entry:
    """A known defect. `seen` must occur in what the suite says of it; it is played up to `attempts` times.

    `sometimes`: a race that need not occur in every run; if it does not, that is said, and the run does not fail.
    """

    id: str
    title: str
    implementation: str
    what: str
    why: str
    verdict: Verdict
    seen: str
    scenario: Scenario
    first_version: tuple[int, ...]
    fixed_in: tuple[int, ...] | None
    trigger: Trigger | None
    attempts: int
    sometimes: bool


def entries() -> Iterator[Entry]:
    """All entries, in the order of the numbers in their ids."""
    found = [each for each in files("cbtcheck").joinpath("ledger_entries").iterdir() if each.name.endswith(".json")]
    for each in sorted(found, key=lambda file: (version_of(file.name) or (), file.name)):
        yield read(each.read_bytes(), each.name)


def read(raw: bytes, where: str) -> Entry:
    """One entry; `ValueError` that names the file if it is not well formed."""
    try:
        file = msgspec.json.decode(raw, type=_File)
        refuse_duplicates(raw)
        return _entry(file, where)
    except ScenarioError as problem:
        raise ValueError(str(problem)) from None
    except (ValueError, msgspec.DecodeError) as problem:
        raise ValueError(f"{where}: {problem}") from None


def _entry(file: _File, where: str) -> Entry:
    if file.trigger and file.trigger not in TRIGGERS:
        raise ValueError(f"unknown trigger '{file.trigger}'")
    verdict = Verdict(file.verdict)
    if verdict.severity < Verdict.WASTEFUL.severity:
        raise ValueError(f"'{file.verdict}' is no failure")
    return Entry(
        file.id, file.title, file.implementation, file.what, file.why, verdict, file.seen,
        from_data(file.scenario, where), version_of(file.first_version) or (),
        version_of(file.fixed_in), TRIGGERS.get(file.trigger), file.attempts, file.sometimes,
    )  # fmt: skip


def version_of(text: str) -> tuple[int, ...] | None:
    """The first version number in a text, or None."""
    found = re.search(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in found.group().split(".")) if found else None


def not_for(entry: Entry, version: str) -> str:
    """Why an entry does not concern this version; "" if it does."""
    running = version_of(version) or ()
    if running < entry.first_version:
        return f"only since {'.'.join(map(str, entry.first_version))}"
    if entry.fixed_in is not None and running >= entry.fixed_in:
        return f"fixed in {'.'.join(map(str, entry.fixed_in))}"
    return ""


def matches(entry: Entry, findings: list[Finding]) -> bool:
    """Whether findings are what the entry expects."""
    return verdict_of(findings) is entry.verdict and any(entry.seen in str(each) for each in findings)


def confirm(entry: Entry, player: Player, version: str) -> LedgerResult:
    """Plays an entry's scenario, and says what came of it."""
    reason = not_for(entry, version)
    if reason:
        return LedgerResult(entry.id, entry.title, "skipped", reason, entry.verdict)
    other: list[Finding] = []
    for _ in range(entry.attempts):
        findings = player.play_scenario(entry.scenario)
        if findings and matches(entry, findings):
            return LedgerResult(entry.id, entry.title, "known", entry.what, entry.verdict)
        other = findings or other
    if other:
        return LedgerResult(entry.id, entry.title, "changed", str(other[0]), entry.verdict)
    outcome = "quiet" if entry.sometimes else "gone"
    detail = f"did not fail in {entry.attempts} attempts"
    return LedgerResult(entry.id, entry.title, outcome, detail, entry.verdict)
