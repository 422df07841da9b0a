"""How the walks of the tour of images are played, and which of their edges were taken.

An edge was taken if just that happened in just that state, and what was seen agrees. What came between is told of
each edge by itself: a walk goes on after a step that did not go as asked, mostly through the same states.
"""

from __future__ import annotations

from collections.abc import Iterator

from cbtmodel.image import happen

from cbtcheck.follow.play import Frame
from cbtcheck.run.part import IMAGES, OTHERWISE, Part
from cbtcheck.run.plan import WalkedInImages
from cbtcheck.run.playing import Playing
from cbtcheck.run.tour_phases import AFTER_A_FAILURE, deviations
from cbtcheck.scenario.images import Played, as_it_came
from cbtcheck.scenario.scenario import Restore
from cbtcheck.search.tour.images.words import ImageEdge, edge
from cbtcheck.search.tour.reachable import D
from cbtcheck.search.tour.sizes import scaled


def play_walk(course: Playing, walked: WalkedInImages, part: Part) -> None:
    """Plays a walk; `part` has the edges that it took, and why it did not take others that it was there for."""
    walk, sizes = walked.walk, walked.sizes
    if walked.left_out:
        part.image_edges_missed = dict.fromkeys(walk.aims, walked.left_out)
        return
    scenario = walk.scenario(sizes)
    if not course.play(IMAGES, IMAGES, scenario):
        part.image_edges_missed = dict.fromkeys(walk.aims, AFTER_A_FAILURE)
        return
    frames = course.player.frames
    in_the_world = {scaled(each, sizes): each for each in walk.steps}
    part.image_edges = {told for frame in frames for told in edges_of(frame, in_the_world, sizes.block)}
    came = deviations(scenario, frames, course.turned_away_now)
    missed = {
        told: why or OTHERWISE
        for told, why in zip(walk.takes, came, strict=True)
        if told in walk.aims and told not in part.image_edges
    }
    part.image_edges_missed = missed


def edges_of(frame: Frame, in_the_world: dict[Played, Played], unit: int) -> Iterator[ImageEdge]:
    """The edges of a step as it was played on a disk whose blocks have `unit` bytes, as far as the world has them."""
    assert frame.files is not None
    assert not isinstance(frame.asked, Restore)
    stored = frame.files.beside(frame.before)
    for asked, reply in frame.trace:
        happened = happen(stored, as_it_came(asked, reply.refusal))
        if asked in in_the_world:
            yield edge(stored, D, unit, in_the_world[asked], happened)
        stored = happened.stored
