"""Traps: short scenarios that the tour's small worlds do not have, and that are drawn seldom.

Some are made for the sizes that an implementation claims: merges between granularities, disks of different sizes,
bitmaps of the same name on two disks, disks that end within a granule. The others are the shortest scenarios of the
seeded mistakes, most of which are after real bugs, as far as their sizes are claimed. Each goes on until every job
has ended, so that what was copied is compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files

import msgspec
from cbtmodel import commands as c
from cbtmodel.commands import Command
from cbtmodel.node import State

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.capabilities import missing_for
from cbtcheck.scenario.scenario import Scenario, from_data
from cbtcheck.search.tour.to_the_end import on_to_the_end, to_the_end
from cbtcheck.sets.bitsets import Bits

ONE, OTHER = "disk0", "disk1"


def traps(capabilities: Capabilities) -> dict[str, Scenario]:
    """The traps that can be set for an implementation, by name."""
    found = {**dict(made_for(capabilities)), **dict(after_mistakes())}
    return {name: each for name, each in found.items() if not missing_for(each, capabilities)}


def after_mistakes() -> Iterator[tuple[str, Scenario]]:
    """The shortest scenario of each seeded mistake."""
    folder = files("cbtcheck").joinpath("search").joinpath("shortest")
    for each in sorted(folder.iterdir(), key=lambda file: file.name):
        if each.name.endswith(".json"):
            yield f"mistake {each.name.removesuffix('.json')}", ended(
                from_data(msgspec.json.decode(each.read_bytes()), each.name)
            )


def ended(scenario: Scenario) -> Scenario:
    """The scenario, and what it takes until every job has ended."""
    commands = [each for each in scenario.commands if isinstance(each, Command)]
    return replace(scenario, commands=(*commands, *to_the_end(scenario.disks, commands, scenario.block)))


def ended_from(state: State[Bits], scenario: Scenario) -> Scenario:
    """The same, where the state after the scenario is known already."""
    commands = [each for each in scenario.commands if isinstance(each, Command)]
    return replace(scenario, commands=(*commands, *on_to_the_end(state)))


def made_for(capabilities: Capabilities) -> Iterator[tuple[str, Scenario]]:
    """The traps that come in an implementation's own sizes."""
    fine, coarse = min(capabilities.granularities), max(capabilities.granularities)
    cluster = capabilities.clusters[0]
    unit = max(coarse, cluster)
    size = 8 * unit

    def trap(name: str, disks: dict[str, int], *commands: Command) -> tuple[str, Scenario]:
        return name, ended(Scenario(disks, commands, title=name))

    def backup(node: str, name: str, job: str = "j0") -> c.StartBackup:
        return c.StartBackup(job, node, "incremental", name, cluster=cluster)

    for name, first, second in (("coarser", fine, coarse), ("finer", coarse, fine)):
        yield trap(
            f"merge into a {name} bitmap", {ONE: size},
            c.AddBitmap(ONE, "b0", first), c.Write(ONE, 3 * unit + fine, fine), c.Write(ONE, size - 1, 1),
            c.AddBitmap(ONE, "b1", second), c.MergeBitmaps(ONE, "b1", (c.Source(ONE, "b0"),)), backup(ONE, "b1"),
        )  # fmt: skip
    yield trap(
        "merge between disks of different sizes", {ONE: size, OTHER: 2 * size},
        c.AddBitmap(ONE, "b0", fine), c.AddBitmap(OTHER, "b1", fine), c.Write(OTHER, 2 * size - 1, 1),
        c.MergeBitmaps(ONE, "b0", (c.Source(OTHER, "b1"),)), c.MergeBitmaps(OTHER, "b1", (c.Source(ONE, "b0"),)),
    )  # fmt: skip
    namesakes = tuple(c.AddBitmap(node, "b0", fine) for node in (ONE, OTHER))
    written = tuple(c.Write(node, unit, 1) for node in (ONE, OTHER))
    both = {ONE: size, OTHER: size}
    for each in (c.ClearBitmap(ONE, "b0"), c.RemoveBitmap(ONE, "b0"), c.DisableBitmap(ONE, "b0")):
        what = type(each).__name__.removesuffix("Bitmap").lower()
        yield trap(f"{what} one of two namesakes", both, *namesakes, *written, each, *written, backup(OTHER, "b0"))
    yield trap("back up one of two namesakes", both, *namesakes, *written, backup(ONE, "b0"), *written)
    yield trap(
        "merge between namesakes", both, *namesakes, c.Write(OTHER, unit, 1),
        c.MergeBitmaps(ONE, "b0", (c.Source(OTHER, "b0"),)), backup(ONE, "b0"),
    )  # fmt: skip
    if capabilities.tails:
        for granularity in sorted({fine, coarse}):
            tailed = size - unit + 512
            yield trap(
                f"a disk that ends within a granule of {granularity}", {ONE: tailed},
                c.AddBitmap(ONE, "b0", granularity), c.Write(ONE, tailed - 1, 1), backup(ONE, "b0"),
                c.Write(ONE, tailed - 512, 512),
            )  # fmt: skip
    yield trap(
        "a best-effort backup that is withdrawn", {ONE: size}, c.AddBitmap(ONE, "b0", coarse), c.Write(ONE, unit, 1),
        c.Transaction((c.StartBackup("j0", ONE, "full", "b0", "always", cluster), c.Abort())),
    )  # fmt: skip
    yield trap(
        "one of two bitmaps of a disk is backed up", {ONE: size}, c.AddBitmap(ONE, "b0", fine),
        c.AddBitmap(ONE, "b1", coarse), c.Write(ONE, unit, 1), backup(ONE, "b0"), c.Write(ONE, 3 * unit, 1),
    )  # fmt: skip
