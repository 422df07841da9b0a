"""The groups of vectors: complete by construction, always the same.

Every edge of the specification that the tour takes; every refusal; the shortest scenario for each seeded mistake; the
workflows; what backups give back; what comes of bitmaps that are stored; and the known defects of the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import count

from cbtmodel import commands as c
from cbtmodel.image import Close, Event
from cbtmodel.node import initial
from cbtmodel.step import step

from cbtcheck.adapters.mistakes import MISTAKES
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.run.hunting import player_of
from cbtcheck.run.hunting import shortest as kept_for
from cbtcheck.run.ledger.ledger import entries
from cbtcheck.scenario.scenario import Restore, Scenario
from cbtcheck.search.tour.coverage import edges
from cbtcheck.search.tour.to_the_end import to_the_end
from cbtcheck.search.tour.walks import Walk, tour
from cbtcheck.sets.bitsets import BitSets
from cbtcheck.vectors.bugs import bug
from cbtcheck.vectors.format import FORMAT, VERSION, Vector, VectorFile
from cbtcheck.vectors.histories.told import HISTORIES, scenario_of
from cbtcheck.vectors.refusals import refusals
from cbtcheck.vectors.restarts import told as of_restarts
from cbtcheck.vectors.tails import in_sizes, sizes_in_turn
from cbtcheck.vectors.written import Told, vector
from cbtcheck.workflows import workflows

SCOPE = "quick"


def of_the_tour() -> Iterator[Vector]:
    """A vector for each walk of the tour. `AssertionError` if it does not take the edges that it is there for."""
    for number, walk, (sizes, cut) in zip(count(1), tour(SCOPE), sizes_in_turn(ReferenceAdapter.capabilities)):
        scenario = in_sizes(walk, sizes, cut)
        assert walk.aims <= edges_of(scenario), f"the walk {walk.title} takes other edges in {sizes}, less {cut}"
        yield vector(Told(f"tour-{number:03}", edges_in_words(walk)), finished(scenario))


def edges_in_words(walk: Walk) -> str:
    """What a walk is for."""
    return "; ".join(map(str, sorted(walk.aims)))


def edges_of(scenario: Scenario) -> frozenset[object]:
    """All edges that a scenario takes."""
    state = initial(BitSets(scenario.block), scenario.disks)
    found: set[object] = set()
    for command in scenario.commands:
        result = step(state, command)
        found |= edges(state, command, result)
        state = result.state
    return frozenset(found)


def of_refusals() -> Iterator[Vector]:
    """A vector for each command and each place in the specification where it can be refused."""
    numbers: Counter[str] = Counter()
    for refusal, scenario in refusals():
        name = f"refusal-{refusal.command}-{refusal.kind}".replace(": ", "-").replace(" ", "-")
        numbers[name] += 1
        title = f"{refusal.command} is refused: {refusal.kind} ({refusal.reason})"
        yield vector(Told(f"{name}-{numbers[name]}", title, None, ("ATOMIC",)), finished(scenario))


def of_mistakes() -> Iterator[Vector]:
    """The shortest scenario for each seeded mistake, and then everything to its good end, so that data tell, too."""
    for name, mistake in MISTAKES.items():
        scenario = kept_for(mistake)
        found = player_of(mistake).play_scenario(scenario)
        properties = tuple(dict.fromkeys(each.property for each in found if each.property))
        told = Told(f"mistake-{name}", mistake.story, bug(mistake.bug), properties)
        yield vector(told, finished(scenario))


def of_workflows() -> Iterator[Vector]:
    """The workflows that users run, with every restore."""
    for name, scenario in workflows().items():
        steps = sum(not isinstance(each, Restore) for each in scenario.commands)
        yield vector(Told(f"workflow-{name}", f"{scenario.title}. {scenario.story}"), scenario, (steps,))


def of_chains() -> Iterator[Vector]:
    """Histories of backups, right orders and wrong ones. `AssertionError` if one does not lose what it says."""
    for history in HISTORIES:
        made = vector(Told(f"chain-{history.name}", history.title), scenario_of(history), tuple(history.marked()))
        lost = {
            point.job: {(each.blame, tuple(extent)) for each in point.lost for extent in each.blocks}
            for point in made.chains[-1].restore_points
            if point.lost
        }
        assert lost == {job: set(each) for job, each in history.lost.items()}, f"{history.name} loses {lost}"
        yield made


def of_images() -> Iterator[Vector]:
    """Histories of stored bitmaps. `AssertionError` if one does not come out as it says."""
    for history in of_restarts.IMAGE_HISTORIES:
        made = vector(Told(f"image-{history.name}", history.title), of_restarts.scenario_of(history))
        of_restarts.check(history, made)
        yield made


def of_the_ledger() -> Iterator[Vector]:
    """What known defects of real implementations do wrong, as it should be."""
    for entry in entries():
        yield vector(Told(f"ledger-{entry.id}", entry.title, bug(entry.id)), finished(entry.scenario))


def finished(scenario: Scenario) -> Scenario:
    """The scenario, and then whatever is going on comes to its good end. Images are closed, which ends jobs, too."""
    if scenario.images:
        return replace(scenario, commands=(*scenario.commands, *map(Close, scenario.disks)))
    commands: list[c.Command] = [each for each in scenario.commands if not isinstance(each, Restore | Event)]
    more = to_the_end(scenario.disks, commands, scenario.block)
    return replace(scenario, commands=(*commands, *more))


GROUPS: dict[str, tuple[str, Callable[[], Iterable[Vector]]]] = {
    "mistakes": ("The shortest scenario for each seeded mistake", of_mistakes),
    "workflows": ("The workflows that users run", of_workflows),
    "chains": ("What backups give back, and which command is to blame where they do not", of_chains),
    "images": ("Bitmaps that are stored: closed, left by a crash, reopened, and not to be trusted", of_images),
    "ledger": ("What known defects of real implementations do wrong", of_the_ledger),
    "refusals": ("Every command and every reason for which it can be refused", of_refusals),
    "tour": (f"Every edge of the specification in the scope '{SCOPE}'", of_the_tour),
}
"""By the name of its file: what a group has, and where its vectors come from."""


def group(name: str) -> VectorFile:
    """A group, made anew."""
    title, make = GROUPS[name]
    return VectorFile(FORMAT, VERSION, name, title, list(make()))  # type: ignore[arg-type]
