"""What was explored, for people and for machines: scopes, properties, what was seen, and what does not hold.

Nothing is shown as checked that was not: a property of which no claim was looked at is "not checked", and whatever
was to be seen and was not makes the run fail. JSON: `"format": "cbtspec-exploration"`, `"version": 1`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from cbtmodel import properties
from cbtproofs.explorer.chains import Restored
from cbtproofs.explorer.exploration import Outcome
from cbtproofs.explorer.images import ImagesExplored
from cbtproofs.explorer.sometimes import EXPECTED, meaning
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cbtcheck.cli.counterexample import frames_of
from cbtcheck.cli.explored_images import all_good, image_sections, images_to_plain
from cbtcheck.report.picture import picture, picture_text
from cbtcheck.run.results import statement
from cbtcheck.scenario.scenario import command_to_data

FORMAT = "cbtspec-exploration"
VERSION = 1


Images = Sequence[ImagesExplored]


def good(outcomes: Sequence[Outcome], chains: Restored | None = None, images: Images = ()) -> bool:
    """Whether all that was explored is as it ought to be."""
    restores = chains is None or chains.failed is None
    return bool(outcomes) and all(each.good for each in outcomes) and restores and all_good(images)


def print_exploration(
    outcomes: Sequence[Outcome], console: Console, chains: Restored | None = None, images: Images = ()
) -> None:
    """Prints everything; `chains` and `images` are those that were explored, if they were."""
    for each in sections(outcomes, chains, images):
        console.print(each, soft_wrap=isinstance(each, Text))


def sections(
    outcomes: Sequence[Outcome], chains: Restored | None = None, images: Images = ()
) -> Iterator[RenderableType]:
    """The report from top to bottom."""
    yield scope_table(outcomes)
    yield property_table(outcomes)
    yield sometimes_table(outcomes)
    for outcome in outcomes:
        if outcome.violation is not None:
            yield Text(f"\n{outcome.scope}: {outcome.violation}\n", style="bold red")
            yield picture(frames_of(outcome.scope, outcome.violation))
        elif outcome.sightings.missing:
            yield Text(f"\n{outcome.scope}: never seen: {', '.join(outcome.sightings.missing)}", style="bold red")
    yield from image_sections(images)
    yield Text()
    for outcome in outcomes:
        if not_checked(outcome) and outcome.violation is None:
            yield Text(f"{name_of(outcome)}: no claim of {', '.join(not_checked(outcome))} was checked", style="dim")
    if chains is not None:
        yield Text(f"{of_chains(chains)}\n", style="" if chains.failed is None else "bold red")
    yield result(outcomes, chains, images)


def of_chains(chains: Restored) -> str:
    """What was explored of chains of backups, in one line."""
    of = f"chains: {chains.blocks} block{'s' * (chains.blocks > 1)}, up to {chains.backups} backups"
    if chains.failed is not None:
        told = "; ".join(map(str, chains.commands))
        return f"{of}: {chains.failed}, after {len(chains.commands)} commands: {told}"
    return (
        f"{of}: {chains.places:,} states in {chains.seconds:.1f} s; {chains.restored:,} times backups were laid over "
        f"each other, and what was lost ({chains.lossy:,} times something) is what is said to be"
    )


def scope_table(outcomes: Sequence[Outcome]) -> Table:
    """How large each scope is, and how fast it was explored."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("scope")
    for heading in ("states", "transitions", "deepest", "seconds", "states/s"):
        table.add_column(heading, justify="right")
    for each in outcomes:
        table.add_row(
            name_of(each), f"{each.states:,}", f"{each.transitions:,}", str(each.depth), f"{each.seconds:.1f}",
            f"{rate(each):,}",
        )  # fmt: skip
    return table


def name_of(outcome: Outcome) -> str:
    """The scope, and whether it was explored up to permutation of blocks."""
    return f"{outcome.scope}{', up to permutation' if outcome.symmetry else ''}"


def not_checked(outcome: Outcome) -> tuple[str, ...]:
    """The properties of which no claim was looked at in a scope; they are not said to hold there."""
    return tuple(property_id for property_id in properties.IDS if not outcome.claims.get(property_id, 0))


def rate(outcome: Outcome) -> int:
    """States per second."""
    return round(outcome.states / outcome.seconds) if outcome.seconds > 0 else 0


def claims(outcomes: Sequence[Outcome], property_id: str) -> int:
    """How many claims of a property were looked at."""
    return sum(each.claims.get(property_id, 0) for each in outcomes)


def fails(outcomes: Sequence[Outcome], property_id: str) -> bool:
    """Whether a property was found not to hold."""
    return any(
        each.violation is not None and property_id in {f.id for f in each.violation.failed} for each in outcomes
    )


def property_table(outcomes: Sequence[Outcome]) -> Table:
    """Each property, how many claims were looked at, and whether all held."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("property")
    table.add_column("claims checked", justify="right")
    table.add_column("")
    table.add_column("statement")
    for property_id in properties.IDS:
        count = claims(outcomes, property_id)
        verdict = "violated" if fails(outcomes, property_id) else "holds" if count else "not checked"
        colour = {"violated": "bold red", "holds": "green", "not checked": "dim"}[verdict]
        table.add_row(property_id, f"{count:,}", Text(verdict, style=colour), statement(property_id))
    return table


def sometimes_table(outcomes: Sequence[Outcome]) -> Table:
    """What was to be seen, and in how many of the scopes that are to show it that was so."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("seen in", justify="right")
    table.add_column("what is to be seen")
    for predicate, _ in EXPECTED:
        seen = sum(predicate in each.sightings.seen for each in outcomes)
        wanted = seen + sum(predicate in each.sightings.awaited for each in outcomes)
        if wanted:
            style = "green" if seen == wanted else "bold red"
            table.add_row(Text(f"{seen} of {wanted}", style=style), meaning(predicate))
    return table


def result(outcomes: Sequence[Outcome], chains: Restored | None = None, images: Images = ()) -> Text:
    """The last line."""
    explored: tuple[Outcome | ImagesExplored, ...] = (*outcomes, *images)
    states = sum(each.states for each in explored) + (chains.places if chains is not None else 0)
    seconds = sum(each.seconds for each in explored) + (chains.seconds if chains is not None else 0)
    if good(outcomes, chains, images):
        return Text(f"All that was checked holds, in all of {states:,} states ({seconds:.1f} s).", style="bold green")
    return Text(f"The specification is not as it ought to be ({states:,} states, {seconds:.1f} s).", style="bold red")


def to_json(outcomes: Sequence[Outcome], chains: Restored | None = None, images: Images = ()) -> bytes:
    """The same as a JSON document."""
    return msgspec.json.format(msgspec.json.encode(to_plain(outcomes, chains, images)), indent=1) + b"\n"


def to_plain(outcomes: Sequence[Outcome], chains: Restored | None = None, images: Images = ()) -> dict[str, Any]:
    """The same as JSON data."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "good": good(outcomes, chains, images),
        "chains": _chains(chains),
        "images": images_to_plain(images),
        "scopes": [_scope(each) for each in outcomes],
        "properties": {
            property_id: {"claims": claims(outcomes, property_id), "violated": fails(outcomes, property_id)}
            for property_id in properties.IDS
        },
    }


def _chains(chains: Restored | None) -> dict[str, Any] | None:
    if chains is None:
        return None
    return {
        "blocks": chains.blocks, "backups": chains.backups, "states": chains.places, "restored": chains.restored,
        "lossy": chains.lossy, "seconds": round(chains.seconds, 3), "covered": chains.covered,
        "violation": None if chains.failed is None else {
            "failed": [{"property": chains.failed.id, "where": chains.failed.where}],
            "commands": [command_to_data(each) for each in chains.commands],
        },
    }  # fmt: skip


def _scope(outcome: Outcome) -> dict[str, Any]:
    scope, violation = outcome.scope, outcome.violation
    data: dict[str, Any] = {
        "blocks": scope.blocks, "bitmaps": scope.bitmaps, "jobs": scope.jobs, "nodes": scope.nodes,
        "alphabet": scope.alphabet, "granularity": scope.granularity, "cluster": scope.cluster,
        "symmetry": outcome.symmetry, "states": outcome.states, "transitions": outcome.transitions,
        "tried": outcome.tried, "depth": outcome.depth, "seconds": round(outcome.seconds, 3),
        "not_checked": list(not_checked(outcome)), "seen": sorted(each.__name__ for each in outcome.sightings.seen),
        "never_seen": sorted(outcome.sightings.missing), "violation": None,
    }  # fmt: skip
    if violation is not None:
        data["violation"] = {
            "failed": [{"property": each.id, "where": each.where} for each in violation.failed],
            "commands": [command_to_data(each) for each in violation.commands],
            "picture": picture_text(frames_of(scope, violation)),
        }
    return data
