"""What was explored of disks in images, for people and for machines: how much, what was seen, what does not hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cbtproofs.explorer.image_sightings import EXPECTED
from cbtproofs.explorer.images import NO_LOST_WRITE, RULE_DISK, ImagesExplored
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.scenario import command_to_data


def all_good(images: Sequence[ImagesExplored]) -> bool:
    """Whether all holds in each scope, something was claimed, and all was seen that is to be seen."""
    return all(each.good and all(each.claims[of] for of in (RULE_DISK, NO_LOST_WRITE)) for each in images)


def image_sections(images: Sequence[ImagesExplored]) -> Iterator[RenderableType]:
    """The part of the report that is about images; nothing if none was explored."""
    if not images:
        return
    yield _table(images)
    yield _seen(images)
    for each in images:
        if each.failed:
            yield Text(f"\n{told(each)}\n", style="bold red")
        elif each.awaited:
            yield Text(f"\n{each.scope}: never seen: {', '.join(map(_name, each.awaited))}", style="bold red")
    if all_good(images):
        rule, write = (f"{sum(each.claims[of] for each in images):,} claims" for of in (RULE_DISK, NO_LOST_WRITE))
        yield Text(
            "\nimages: in every history of these scopes, of any length, with a crash after any step of it, "
            f"{RULE_DISK} holds ({rule}), and no bitmap that seems sound misses a write ({write})"
        )


def told(explored: ImagesExplored) -> str:
    """What does not hold, and a shortest history that shows it."""
    steps = [f"{number:>4}  {describe(each)}" for number, each in enumerate(explored.history, 1)]
    failed = "; ".join(map(str, explored.failed))
    return "\n".join([f"{explored.scope}: after {len(steps)} steps: {failed}", *steps])


def _table(images: Sequence[ImagesExplored]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("scope of a disk in an image")
    for heading in ("states", "transitions", "deepest", "seconds"):
        table.add_column(heading, justify="right")
    for each in images:
        table.add_row(
            str(each.scope), f"{each.states:,}", f"{each.transitions:,}", str(each.depth), f"{each.seconds:.1f}"
        )
    return table


def _seen(images: Sequence[ImagesExplored]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("seen in", justify="right")
    table.add_column("what is to be seen of images")
    for predicate, _ in EXPECTED:
        seen = sum(predicate in each.seen for each in images)
        wanted = seen + sum(predicate in each.awaited for each in images)
        if wanted:
            style = "green" if seen == wanted else "bold red"
            table.add_row(Text(f"{seen} of {wanted}", style=style), " ".join((predicate.__doc__ or "").split()))
    return table


def _name(predicate: Any) -> str:
    return str(predicate.__name__)


def images_to_plain(images: Sequence[ImagesExplored]) -> list[dict[str, Any]]:
    """The same as JSON data."""
    return [_plain(each) for each in images]


def _plain(explored: ImagesExplored) -> dict[str, Any]:
    scope = explored.scope
    data: dict[str, Any] = {
        "blocks": scope.blocks, "bitmaps": scope.bitmaps, "jobs": scope.jobs, "writes_in_flight": scope.flight,
        "enabled_and_disabled": scope.switches, "failures": scope.fails, "states": explored.states,
        "transitions": explored.transitions, "tried": explored.tried, "depth": explored.depth,
        "seconds": round(explored.seconds, 3), "claims": dict(explored.claims),
        "seen": sorted(map(_name, explored.seen)), "never_seen": sorted(map(_name, explored.awaited)),
        "violation": None,
    }  # fmt: skip
    if explored.failed:
        data["violation"] = {
            "failed": [{"property": each.id, "where": each.where} for each in explored.failed],
            "commands": [command_to_data(each) for each in explored.history],
        }
    return data
