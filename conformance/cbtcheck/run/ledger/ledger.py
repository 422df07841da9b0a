"""The ledger of expected failures: what implementations are known to do wrong, one reviewed file for each defect.

Every run first confirms each entry that is meant for the implementation and its version: it must still fail, in the
way that is written there. One that fails no more fails the run, so that the ledger stays true; one that needs luck is
only said to be gone where that would be improbable otherwise. `docs/findings/ledger.md` describes the fields and the
outcomes. An entry may name a trigger (see `triggers`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Annotated, Any

import msgspec

from cbtcheck.follow.play import Player, verdict_of
from cbtcheck.run.ledger.statistics import IMPROBABLE, Rate, rate
from cbtcheck.run.ledger.triggers import TRIGGERS, Trigger
from cbtcheck.run.report import LedgerResult
from cbtcheck.scenario.scenario import Scenario, ScenarioError, from_data
from cbtcheck.scenario.strict_json import refuse_duplicates
from cbtcheck.scenario.verdict import Finding, Verdict

Version = tuple[int, ...]

TRIES = 3
"""How often an entry is played at most if it does not say otherwise: nothing is called gone that was tried once."""


class _File(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    id: str
    title: str
    implementation: str
    what: str
    why: str
    verdict: str
    seen: str | list[str]
    scenario: dict[str, Any]
    first_version: str = "0"
    fixed_in: str = ""
    seen_in: dict[str, str] = {}
    trigger: str | dict[str, str] = ""
    attempts: Annotated[int, msgspec.Meta(ge=1, le=60)] = TRIES
    luck: bool = False


@dataclass(frozen=True)
class Entry:
    """A known defect. One of `seen` must occur in all that the suite says of it; it is played up to `attempts` times.

    `first_version` and `fixed_in` are read in the source, `seen_in` is what was counted, by version. `luck`: a race
    that does not occur in every try. `triggers`: since which version which one describes it.
    """

    id: str
    title: str
    implementation: str
    what: str
    why: str
    verdict: Verdict
    seen: tuple[str, ...]
    scenario: Scenario
    first_version: Version = ()
    fixed_in: Version | None = None
    seen_in: dict[Version, Rate] = field(default_factory=dict)
    triggers: tuple[tuple[Version, Trigger], ...] = ()
    attempts: int = TRIES
    luck: bool = False

    def rate_in(self, version: str) -> Rate | None:
        """What was counted on this version, or on another patch level of it (the same first two numbers)."""
        running = version_of(version) or ()
        alike = [known for known in self.seen_in if known[:2] == running[:2]]
        return self.seen_in.get(running) or (self.seen_in[max(alike)] if alike else None)

    def trigger_in(self, version: str) -> Trigger | None:
        """What describes, in this version, the commands that run into it."""
        running = version_of(version) or ()
        known = [trigger for since, trigger in self.triggers if since <= running]
        return known[-1] if known else None


def entries() -> Iterator[Entry]:
    """All entries, in the order of the numbers in their ids; last those that were found with images, CRASH-…."""
    folder = files("cbtcheck").joinpath("run/ledger/entries")
    found = [each for each in folder.iterdir() if each.name.endswith(".json")]
    for each in sorted(found, key=lambda file: (file.name.startswith("CRASH"), version_of(file.name) or ())):
        yield read(each.read_bytes(), each.name)


def entries_of(implementation: str) -> list[Entry]:
    """Those of one implementation, by its adapter's name."""
    return [each for each in entries() if each.implementation == implementation]


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
    verdict = Verdict(file.verdict)
    if verdict.severity < Verdict.WASTEFUL.severity:
        raise ValueError(f"'{file.verdict}' is no failure")
    counted = {_version(version): rate(text) for version, text in file.seen_in.items()}
    return Entry(
        file.id, file.title, file.implementation, file.what, file.why, verdict,
        (file.seen,) if isinstance(file.seen, str) else tuple(file.seen), from_data(file.scenario, where),
        version_of(file.first_version) or (), version_of(file.fixed_in), counted, _triggers(file.trigger),
        file.attempts, file.luck,
    )  # fmt: skip


def _triggers(named: str | dict[str, str]) -> tuple[tuple[Version, Trigger], ...]:
    """Since which version which trigger; one name alone is for all versions."""
    by_version = named if isinstance(named, dict) else {"0": named} if named else {}
    for name in by_version.values():
        if name not in TRIGGERS:
            raise ValueError(f"unknown trigger '{name}'")
    return tuple(sorted((_version(since), TRIGGERS[name]) for since, name in by_version.items()))


def _version(text: str) -> Version:
    found = version_of(text)
    if found is None:
        raise ValueError(f"'{text}' is no version")
    return found


def version_of(text: str) -> tuple[int, ...] | None:
    """The first version number in a text, or None."""
    found = re.search(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in found.group().split(".")) if found else None


def not_for(entry: Entry, version: str) -> str:
    """Why an entry does not concern this version; "" if it does."""
    running = version_of(version) or ()
    counted = entry.rate_in(version)
    if running < entry.first_version:
        return f"only since {'.'.join(map(str, entry.first_version))}"
    if entry.fixed_in is not None and running >= entry.fixed_in:
        return f"fixed in {'.'.join(map(str, entry.fixed_in))}"
    if counted is not None and not counted.failed:
        return f"not seen in this version: it failed in {counted} tries"
    return ""


def matches(entry: Entry, findings: list[Finding]) -> bool:
    """Whether findings are what the entry expects, and nothing beside it."""
    return (
        bool(findings)
        and verdict_of(findings) is entry.verdict
        and all(any(seen in str(each) for seen in entry.seen) for each in findings)
    )


def holds(entry: Entry, outcome: str, version: str) -> bool:
    """Whether an entry turns commands away: confirmed in this run, or in need of luck and seen in this version."""
    counted = entry.rate_in(version)
    return outcome == "known" or (outcome == "quiet" and counted is not None and counted.failed > 0)


def confirm(entry: Entry, player: Player, version: str) -> LedgerResult:
    """Plays an entry's scenario until it fails as listed, but not for ever, and says what came of it.

    *gone*: it did not fail, which is improbable if it were still there. *quiet*: it did not fail, and needs luck.
    """

    def came(outcome: str, detail: str) -> LedgerResult:
        return LedgerResult(entry.id, entry.title, outcome, detail, entry.verdict)

    reason = not_for(entry, version)
    if reason:
        return came("skipped", reason)
    other: list[Finding] = []
    tries, counted = 0, entry.rate_in(version)
    while tries < entry.attempts and not (entry.luck and counted is not None and _improbable(counted, tries)):
        findings = player.play_scenario(entry.scenario)
        tries += 1
        if matches(entry, findings):
            return came("known", entry.what)
        other = findings or other
    if other:
        return came("changed", str(other[0]))
    if not entry.luck:
        return came("gone", f"did not fail in {tries} tries")
    if counted is None:
        return came("quiet", f"not seen in {tries} tries; it needs luck, and how much in this version is not known")
    probable = f"as it failed in {counted} tries, a probability of {counted.quiet(tries):.1g}"
    if _improbable(counted, tries):
        return came("gone", f"did not fail in {tries} tries; {probable}")
    return came("quiet", f"not seen in {tries} tries; it needs luck: {probable}")


def _improbable(counted: Rate, tries: int) -> bool:
    return counted.quiet(tries) <= IMPROBABLE
