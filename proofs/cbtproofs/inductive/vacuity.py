"""Whether what is proved says anything: what the proofs have seen happen, and mistakes that they must find.

A theorem about nothing is easily proved. So each scene must have a path whose assumptions do not contradict each
other; every kind of command and of action must be accepted on such a path, every kind of refusal given, every outcome
of a job reached, and whatever can be varied must be (`variety`). And for each theorem there is a mistake that makes
it fail, and must do so in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from cbtmodel import commands as c
from cbtmodel.backup import Outcome
from cbtmodel.node import State
from cbtmodel.refusal import Kind
from cbtmodel.step import Step

from cbtproofs.effects import composition, contract
from cbtproofs.inductive import covers, images, laws, locality, restores, theorem
from cbtproofs.inductive.script import OPAQUE, Obligation, Script
from cbtproofs.inductive.stage import A_BITMAP, A_JOB, BESIDE, CHAIN, LAWS, THREE_BITMAPS, TWO_BITMAPS, Scene, scenes
from cbtproofs.inductive.variety import VARIETY, chosen, numbers
from cbtproofs.mutants.catalogue import CANARY
from cbtproofs.mutants.chain_mistakes import CHAIN_MISTAKES
from cbtproofs.mutants.field_bugs import field_bug_mutants
from cbtproofs.mutants.image_mistakes import IMAGE_MISTAKES
from cbtproofs.mutants.improper import IMPROPER
from cbtproofs.mutants.mutant import Mutant, applied
from cbtproofs.mutants.once_proved_effects import once_proved

IN_TRANSACTION = "in a transaction"

EXPECTED: frozenset[str] = frozenset(
    [
        *(each.__name__ for each in get_args(c.Command)),
        *(f"{each.__name__} {IN_TRANSACTION}" for each in get_args(c.Action) if each is not c.Abort),
        *(f"refused: {each}" for each in get_args(Kind)),
        *(f"a job {each}" for each in get_args(Outcome)),
        *VARIETY,
    ]
)
"""What must be seen: commands and actions that are accepted, with each of their values; refusals; ends; numbers."""


@dataclass
class Seen:
    """What has happened, each on a path whose assumptions are consistent."""

    things: set[str] = field(default_factory=set)

    def note(self, command: Any, before: State[Any], done: Step[Any]) -> None:
        """A command was given, and this came of it."""
        if done.refusal is not None:
            self.things.add(f"refused: {done.refusal.kind}")
            return
        self.things.add(type(command).__name__)
        self.things |= {*chosen(command), *numbers(before, command)}
        if isinstance(command, c.Transaction):
            self.things |= {f"{type(each).__name__} {IN_TRANSACTION}" for each in command.actions}
        self.things |= {f"a job {each.outcome}" for each in done.ended}

    @property
    def missing(self) -> list[str]:
        """What must be seen and was not."""
        return sorted(EXPECTED - self.things)


@dataclass(frozen=True)
class Mistake:
    """A mutant that makes a theorem fail, and where to look: scenes with this cast and this kind of command."""

    mutant: str
    cast: str
    kind: str

    def scenes(self) -> Iterator[Scene]:
        """The scenes in which it must be found."""
        for scene in scenes():
            kind = scene.command if isinstance(scene.command, str) else type(scene.command).__name__
            if (scene.cast, kind) == (self.cast, self.kind):
                yield scene


SEEDED: dict[str, tuple[Mistake, ...]] = {
    theorem.ID: (Mistake(CANARY, A_JOB.name, "CancelJob"),),
    restores.ID: (
        Mistake("below-is-taken-for-whole", CHAIN, "three backups"),
        Mistake("first-point-of-a-disk-only", A_JOB.name, "Write"),
    ),
    images.ID: (
        Mistake("opened-without-a-mark", "an image: closed", "Open"),
        Mistake("stored-before-the-jobs-end", "an image: open, with a job", "Close"),
    ),
    covers.ID: (Mistake("only-its-successor-owes", A_JOB.name, "Write"), Mistake(CANARY, A_JOB.name, "CancelJob")),
    "NO-LOST-WRITE": (Mistake("hook-never-called", A_BITMAP.name, "Write"),),
    "POINT-IN-TIME": (Mistake("no-copy-before-write", A_JOB.name, "Write"),),
    "DELIVERED": (Mistake("target-error-is-success", A_JOB.name, "Copy"),),
    "FAILURE-KEEPS": (
        Mistake("abdicate-on-failure", A_JOB.name, "CancelJob"),
        Mistake("leftovers-only-where-dirty", A_JOB.name, "CancelJob"),
    ),
    "FROZEN-IS-STILL": (Mistake("clear-busy", A_JOB.name, "ClearBitmap"),),
    "ONE-HEIR": (Mistake("remove-busy", A_JOB.name, "RemoveBitmap"),),
    "ATOMIC": (Mistake("refusal-drains", A_JOB.name, "Transaction"),),
    "EXACT": (Mistake("rounding-forgotten", A_BITMAP.name, "Write"),),
    "BATCH": (Mistake("marked-is-skipped", A_BITMAP.name, "two writes"),),
    "RELEASE": (
        Mistake("successor-leaks", A_JOB.name, "every end"),
        Mistake("resumed-stays-paused", A_JOB.name, "every end"),
    ),
    contract.EFFECT: (
        Mistake("clear-does-nothing", A_BITMAP.name, "ClearBitmap"),
        Mistake("first-two-bitmaps-record", THREE_BITMAPS[-1].name, "Write"),
    ),
    contract.REFUSED: (Mistake("clear-busy", A_JOB.name, "ClearBitmap"),),
    composition.ID: (Mistake("actions-in-reverse", TWO_BITMAPS.name, "Transaction"),),
    laws.ID: (Mistake("only-the-first-round", LAWS, "by length"),),
    locality.ID: (Mistake("makes-others-anew", BESIDE.name, "EnableBitmap"),),
    OPAQUE: (Mistake("compares-sets", A_BITMAP.name, "Write"),),
}
"""For each theorem mistakes that make it fail, each by itself. The first of all is the canary of every checker."""


Found = dict[str, dict[str, bool]]
"""For each mistake, which provers find it."""


def found(property_id: str, provers: Mapping[str, Callable[[Script], list[Obligation]]]) -> Found:
    """Which provers say that the theorem fails, with each of its mistakes in the specification."""
    said: Found = {}
    for mistake in SEEDED[property_id]:
        with applied(mutant(mistake.mutant)):
            said[mistake.mutant] = {name: _fails(property_id, mistake, prover) for name, prover in provers.items()}
    return said


def _fails(property_id: str, mistake: Mistake, prover: Callable[[Script], list[Obligation]]) -> bool:
    said = (each for scene in mistake.scenes() for each in prover(scene.script) if each.id == property_id)
    return any(each.counterexample is not None for each in said)


def mutant(name: str) -> Mutant:
    """The mutant of that name: after a real bug, an improper one, or one that the proof did not always find."""
    listed = (*field_bug_mutants(), *IMPROPER, *once_proved(), *CHAIN_MISTAKES, *IMAGE_MISTAKES)
    return next(each for each in listed if each.name == name)
