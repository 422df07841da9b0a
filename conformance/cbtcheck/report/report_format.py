"""The format of the JSON report, version 1, as types; its JSON Schema is generated from them.

    python -m cbtcheck.report.report_format > conformance/cbtcheck/schemas/report-1.json

Within a version members are added, never removed or changed; so a reader ignores what it does not know, and the
schema allows it. docs/use/reports.md says the same for people.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

FORMAT = "cbtspec-report"
VERSION = 1
SCHEMA = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID = "urn:cbtspec:report:1"

Verdict = Literal["exact", "skipped", "known", "not repeatable", "wasteful", "diverges", "unsafe", "broken"]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0, description="In seconds.")]
Granules = Annotated[str, Meta(pattern="^0x[0-9a-f]+$", description="Granules in hexadecimal; bit i is granule i.")]
OrNotRun = Annotated[Verdict | None, Meta(description="null: not run, which is never a pass.")]


class CommandResult(Struct):
    """A command: how often it was accepted, how often refused (by the kind of refusal), and the verdict."""

    accepted: Count
    refused: dict[str, Count]
    verdict: OrNotRun


class PropertyResult(Struct):
    """A property of the specification, and how often it was checked in a way that could have failed."""

    statement: str
    checked: Count
    verdict: OrNotRun


class LedgerEntry(Struct):
    """An expected failure: it still fails as listed (known), not any more (gone), in another way (changed), did not
    occur in this run (quiet), or is not for this version (skipped).
    """

    id: str
    title: str
    outcome: Literal["known", "gone", "changed", "quiet", "skipped"]
    detail: str
    verdict: Verdict
    turned_away: Annotated[Count, Meta(description="Commands that were not played, as they would have run into it.")]


class Tour(Struct):
    """What the tour has played: walks for the edges, and control sequences with every history of guest writes."""

    walks: Count
    sequences: Count
    writes: Annotated[Count, Meta(description="The most guest writes of a history.")]
    bounded: Annotated[Count, Meta(description="Sequences of which only writes near each other were combined.")]
    pairs: Annotated[Count, Meta(description="Control sequences, each with each of its histories.")]
    plays: Count
    in_part: Annotated[dict[str, Count], Meta(description="Sequences that were not played whole, by the reason.")]
    seconds: Seconds
    pairs_per_second: Count


class Edges(Struct):
    """Edges (control state, command, outcome) of the specification; `unreached` are those missed, by the reason."""

    covered: Count
    reachable: Count
    unreached: dict[str, Count]


class CommandEdges(Struct):
    """The edges of one command."""

    reached: Count
    missed: dict[str, Count]


class NotVerified(Struct):
    """Something that the run has not verified. `blocking`: it is claimed, so `conformant` is false."""

    kind: Literal[
        "command", "property", "capability", "data", "edges", "histories", "bounded", "happening", "ledger",
        "turned away",
    ]  # fmt: skip
    name: str
    reason: str
    count: Annotated[int, Meta(ge=1)]
    blocking: bool


class Counts(Struct):
    """How many there are: commands and properties by verdict ("not run" is one), ledger entries by outcome, what was
    not verified by kind, and how much of that blocks.
    """

    commands: dict[str, Count]
    properties: dict[str, Count]
    ledger: dict[str, Count]
    failures: Count
    not_repeatable: Count
    skipped: Annotated[Count, Meta(description="Members of `skipped`.")]
    not_verified: dict[str, Count]
    blocking: Count


class Finding(Struct):
    """One disagreement. `property` is empty where none is at stake."""

    verdict: Verdict
    property: str
    where: str
    expected: str
    seen: str
    rule: Annotated[str, Meta(description="The rule that is broken, in a sentence.")]
    missing: Granules | None
    extra: Granules | None


class FailedScenario(Struct):
    """A scenario on which implementation and specification disagree, as short as it could be made."""

    origin: str
    verdict: Verdict
    saved: Annotated[str | None, Meta(description="The file where the scenario was saved.")]
    plays: Annotated[Count, Meta(description="How often it was played until it was judged whether it comes again.")]
    failed: Annotated[Count, Meta(description="In how many of these it failed.")]
    also: Annotated[Count, Meta(description="Other scenarios in which the same was seen.")]
    others: Annotated[list[str], Meta(description="Files with scenarios that failed of the same cause elsewhere.")]
    output: Annotated[str | None, Meta(description="The file with all that the implementation had printed.")]
    reproduce: Annotated[str | None, Meta(description="The shell line that plays it again.")]
    findings: list[Finding]
    scenario: Annotated[dict[str, Any], Meta(description="A cbtspec-scenario, as `cbtspec replay` reads it.")]
    not_saved: Annotated[str | None, Meta(description="Why `saved` names no file, if one was to be written.")] = None


class FailedFirst(Struct):
    """What came of the scenarios that had failed in the last run."""

    agree: Annotated[list[str], Meta(description="Files whose scenarios agree now.")]
    disagree: Annotated[list[str], Meta(description="Files whose scenarios do not agree, or not each time.")]
    not_played: list[str]
    unreadable: Annotated[list[str], Meta(description="A line for each file that cannot be read.")]


class Document(Struct):
    """The report of a run of the conformance suite."""

    format: Literal["cbtspec-report"]
    version: Literal[1]
    suite: Annotated[str, Meta(description="The version of the suite.")]
    adapter: str
    implementation: str
    profile: str
    seed: Annotated[int, Meta(ge=0)]
    conformant: Annotated[
        bool,
        Meta(description="All of the profile was played, nothing failed, once or again, the ledger is true, and all "
                         "that is claimed was exercised."),
    ]  # fmt: skip
    interrupted: bool
    verdict: OrNotRun
    safety: OrNotRun
    exactness: OrNotRun
    scenarios: Annotated[dict[str, Count], Meta(description="Scenarios played, by phase.")]
    steps: Count
    compared: Annotated[Count, Meta(description="Restored disks that were compared.")]
    seconds: Seconds
    commands: dict[str, CommandResult]
    properties: dict[str, PropertyResult]
    skipped: Annotated[dict[str, str], Meta(description="Capabilities that are not claimed, with the reason.")]
    not_realised: Annotated[dict[str, Count], Meta(description="Commands that could not be made to happen.")]
    ledger: list[LedgerEntry]
    tour: Tour
    edges: Edges
    edges_by_command: dict[str, CommandEdges]
    counts: Counts
    not_verified: list[NotVerified]
    failures: list[FailedScenario]
    not_repeatable: Annotated[
        list[FailedScenario], Meta(description="Failed once, and not when it was played again.")
    ]
    agrees: Annotated[bool, Meta(description="As far as the run went, nothing was found.")]
    closing: Annotated[str, Meta(description="What the run amounts to, in a line, as it is printed.")]
    exit_code: Annotated[Count, Meta(description="What the run exits with.")]
    incomplete: Annotated[list[str], Meta(description="Why not all of the profile was played; empty if all was.")]
    claimed: Annotated[list[str], Meta(description="The capabilities for which the run speaks.")]
    failed_first: Annotated[FailedFirst | None, Meta(description="With `--failed-first`; null without.")]
    workers_died: Annotated[Count, Meta(description="With `--jobs`: processes that died, and were replaced.")]
    played_again: Annotated[Count, Meta(description="Items that were lost with them, and were played again.")]
    image_edges: Annotated[Edges, Meta(description="Edges of disks in images; none if images are not claimed.")]


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a report."""
    (document,), definitions = msgspec.json.schema_components([Document], ref_template="#/$defs/{name}")
    head = {"$schema": SCHEMA, "$id": SCHEMA_ID, "title": "Report of cbtspec, version 1"}
    return head | document | {"$defs": {name: definitions[name] for name in sorted(definitions)}}


def schema_text() -> str:
    """The schema as it is published."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=1).decode() + "\n"


def published() -> str:
    """The schema that comes with the package."""
    return files("cbtcheck").joinpath("schemas", f"report-{VERSION}.json").read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.write(schema_text())
