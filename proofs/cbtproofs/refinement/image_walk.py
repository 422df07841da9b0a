"""Refinement with images: as `walk`, and everything that happens to files, on both sides.

On the implementation's side a file is the bytes of a real qcow2 image, in memory. After each edge our own reader
looks at what is stored, and that must be what the specification says. Two states are one if it finds the same: the
clusters in which it lies are not told apart, unless by `EveryByte`. With these no end is in sight; a test walks some
way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from cbtcheck.adapters.driving import Driven
from cbtcheck.adapters.qcow2_store import Qcow2Store
from cbtcheck.scenario.images import refusal_kind
from cbtimpl import Host
from cbtmodel.backup import Ended
from cbtmodel.image import Stored, happen

from cbtproofs.explorer.few_blocks import Blocks
from cbtproofs.refinement.image_abstraction import (
    misfits_of_images,
    parts_of_images,
    stored_abstraction,
    what_can_be_seen,
)
from cbtproofs.refinement.image_worlds import image_worlds, initially
from cbtproofs.refinement.subject import Subject
from cbtproofs.refinement.walk import Walk, differing_parts, failing_of_jobs, pair_of, parts_of
from cbtproofs.refinement.walking import (
    Disagreement,
    Followed,
    Walking,
    ends_differ,
    first_disagreement,
    replies_differ,
)
from cbtproofs.refinement.worlds import World

Model = Stored[Blocks]


class ImageWalk(Walking[Model]):
    """A walk through a world of disks that lie in images."""

    image: type[Qcow2Store] = Qcow2Store
    """What makes the image of each disk."""

    def first(self) -> Subject:
        """The implementation, with nothing done to it."""
        return Subject(self.host, self.world.sizes, self.image)

    def initial(self) -> Model:
        """The specification, with nothing done to it."""
        return initially(self.world, self.space)

    def pair(self, identity: bytes, model: Model) -> bytes:
        """What tells a pair of states from others."""
        return pair_of(identity, model.state)

    def followed(self, model: Model, driven: Driven) -> Followed[Model]:
        """The specification goes where the implementation went; the same object if it stays where it was."""
        stored, differences = model, list[str]()
        ended: tuple[Ended[Blocks], ...] = ()
        for answer in driven.trace:
            happened = happen(stored, answer.command)
            stored, ended = happened.stored, ended + happened.ended
            differences += replies_differ(refusal_kind(happened.refusal), answer.refusal)
        same = (stored.state, stored.images, stored.opened) == (model.state, model.images, model.opened)
        return model if same else stored, ended, differences + ends_differ(ended, driven)

    def compared(self, subject: Subject, identity: bytes, model: Model) -> list[str]:
        """What differs between two states."""
        stands_for = self.stands_for.get(identity)
        if stands_for is None:
            problems = [*misfits_of_images(subject.host)]
            if problems:
                return problems
            made = stored_abstraction(subject.host, subject.stores, self.space)
            stands_for = self.stands_for[identity] = self.abstract.setdefault(made, made)
        bare = what_can_be_seen(model)
        if bare != stands_for:
            return [*differing_stored(bare, stands_for)]
        if self.pair(identity, model) in self.known:
            return []
        return failing_of_jobs(model.state, subject, self.space)


def differing_stored(expected: Model, seen: Model) -> Iterator[str]:
    """What differs between two states without ghosts, part by part."""
    return differing_parts(*({**parts_of_images(each), **parts_of(each.state)} for each in (expected, seen)))


def walk_through(world: World, host: Callable[[], Host] = Host) -> Walk | ImageWalk:
    """The walk that a world asks for."""
    return ImageWalk(world, host) if world.images else Walk(world, host)


def restarts_kill(host: Callable[[], Host], where: Iterable[World] | None = None) -> Disagreement | None:
    """A short disagreement of a variant of the implementation in these worlds, by default the quick ones; or None."""
    return first_disagreement(ImageWalk(world, host) for world in (image_worlds("quick") if where is None else where))
