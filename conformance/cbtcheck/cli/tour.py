"""The command `cbtspec tour`: lists the scenarios of the tour, or writes them as files for `cbtspec replay`."""

from __future__ import annotations

from pathlib import Path

import click

from cbtcheck import adapters
from cbtcheck.cli.problem import NotWritten
from cbtcheck.run.tour_phases import realised
from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.scenario import save
from cbtcheck.search.tour.contexts.plan import edges_of_scope, tour
from cbtcheck.search.tour.images.walks import ImageWalk, edges_of_images, tour_of_images
from cbtcheck.search.tour.reachable import SCOPES
from cbtcheck.search.tour.sizes import AS_IN_THE_WORLD, one_cluster_a_block, sizes_for
from cbtcheck.search.tour.universal_play import control_sequences, different_histories, plays
from cbtcheck.search.tour.walks import Walk

NO_BOUND = 64


@click.command("tour")
@click.option("--scope", type=click.Choice(SCOPES), default="quick", show_default=True,
              help="Which edges of the specification it takes.")  # fmt: skip
@click.option("--images", is_flag=True, help="The tour of images: of disks that lie in images, and are restarted.")
@click.option("--write", "directory", type=click.Path(path_type=Path), metavar="DIR",
              help="Write each walk as a scenario file.")  # fmt: skip
@click.option("--adapter", type=click.Choice(adapters.BUILT_IN),
              help="Write them in the sizes of this implementation (default: blocks of 512 bytes).")  # fmt: skip
def tour_command(scope: str, images: bool, directory: Path | None, adapter: str | None) -> int:
    """Shows the tour: shortest scenarios that take every edge of the specification that a scope can reach."""
    claims = adapters.capabilities_of(adapter or "reference")
    of_images = tour_of_images(scope, claims) if images else ()
    walks = () if images else tour(scope)
    if directory is not None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            write(walks, directory, adapter)
            write_of_images(of_images, directory, adapter)
        except OSError as problem:
            raise NotWritten(f"--write: {directory} cannot be written: {problem.strerror}") from None
        click.echo(f"{len(walks) + len(of_images):,} scenarios in {directory}")
        return 0
    from rich.console import Console
    from rich.text import Text

    console = Console()
    listed: list[Walk | ImageWalk] = [*walks, *of_images]
    for number, walk in enumerate(listed, 1):
        console.print(Text(line(number, walk)), soft_wrap=True)
    if images:
        click.echo(
            f"{len(of_images):,} walks, {sum(len(each.steps) for each in of_images):,} steps: "
            f"all {len(edges_of_images(scope)):,} edges of images of the scope '{scope}'"
        )
        return 0
    sequences = control_sequences(each for each in walks if not each.in_context)
    pairs = sum(different_histories(plays(each, NO_BOUND)) for each in sequences)
    click.echo(
        f"{len(walks):,} walks, {sum(len(each.commands) for each in walks):,} commands: "
        f"all {len(edges_of_scope(scope)):,} edges of the scope '{scope}'\n"
        f"{len(sequences):,} control sequences with {pairs:,} write histories"
    )
    return 0


def line(number: int, walk: Walk | ImageWalk) -> str:
    """A walk as one line."""
    if isinstance(walk, ImageWalk):
        return f"{number:>4}  {walk.world}: {' → '.join(map(describe, walk.steps))}"
    return f"{number:>4}  {walk.world.name}: {' → '.join(map(describe, walk.commands))}"


def write_of_images(walks: tuple[ImageWalk, ...], directory: Path, adapter: str | None) -> None:
    """Writes walks of the tour of images, each in a file of its own. Raises `OSError`."""
    listed = (AS_IN_THE_WORLD,) if adapter is None else one_cluster_a_block(adapters.capabilities_of(adapter))
    for number, walk in enumerate(walks, 1):
        save(walk.scenario(listed[(number - 1) % len(listed)]), directory / f"{number:04}.json")


def write(walks: tuple[Walk, ...], directory: Path, adapter: str | None) -> None:
    """Writes all walks, each in a file of its own. Raises `OSError`."""
    for number, walk in enumerate(walks, 1):
        if adapter is None:
            scenario = walk.scenario(AS_IN_THE_WORLD)
        else:
            capabilities = adapters.capabilities_of(adapter)
            listed = sizes_for(capabilities)
            scenario = realised(walk.scenario(listed[(number - 1) % len(listed)]), capabilities)[0]
        save(scenario, directory / f"{number:04}.json")
