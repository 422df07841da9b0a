"""What a run of the suite found, as data: every report (printed, JSON, JUnit) shows what is in here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from cbtcheck.follow.play import Frame
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.scenario.verdict import Finding, Verdict, worst


@dataclass
class Failure:
    """A scenario on which the implementation and the specification disagree, as short as it could be made.

    `origin`: the workflow's or ledger entry's name, "drawn", "tour" or "every write history". `frames` are the steps
    as they were played. `saved` is the file that has it; `not_saved` why there is none, if it could not be written.

    When it was found it `failed` in so many of so many `plays`. `also` are the scenarios in which the same was seen
    besides, `others` those of them that failed in another place and so were kept; `output` is the file with what
    the implementation had printed.
    """

    origin: str
    scenario: Scenario
    frames: list[Frame]
    findings: list[Finding]
    saved: Path | None = None
    not_saved: str = ""
    plays: int = 1
    failed: int = 1
    also: int = 0
    others: list[Failure] = field(default_factory=list)
    output: Path | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings."""
        return worst([each.verdict for each in self.findings])


@dataclass
class FailedFirst:
    """With what a run began: the scenarios that had failed in the last run, as files in the `directory`.

    `agree` says of those that were played whether they agree now; `unreadable` has a line for each file that cannot
    be read.
    """

    directory: str
    listed: tuple[str, ...]
    unreadable: tuple[str, ...] = ()
    agree: dict[str, bool] = field(default_factory=dict)

    def in_words(self) -> str:
        """One line: how many were played, and how many of them agree now."""
        if not self.listed:
            return f"nothing to play: no failure of the last run is saved in {self.directory}"
        agree, rest = sum(self.agree.values()), len(self.listed) - len(self.agree)
        said = f"{len(self.agree)} of {len(self.listed)} in {self.directory} were played: {agree} "
        said += f"{'agrees' if agree == 1 else 'agree'} now, {len(self.agree) - agree} not"
        return said + (f"; {rest} not played" if rest else "")


@dataclass
class LedgerResult:
    """What came of an entry of the ledger: *known* (it still fails as listed), *gone* (it does not, which fails the
    run), *changed* (it fails in another way) or *skipped* (not for this implementation or version, with the reason).

    `turned_away`: how many commands of later phases were not played because of its trigger.
    """

    id: str
    title: str
    outcome: str
    detail: str
    verdict: Verdict
    turned_away: int = 0


@dataclass
class CommandCount:
    """How often a command was exercised: accepted, refused (by kind), and its worst verdict.

    `features` are how often it was done in a way that only some implementations claim (see `claims`).
    """

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    worst: Verdict = Verdict.EXACT
    features: Counter[str] = field(default_factory=Counter)


@dataclass
class PropertyCount:
    """How often a property was checked on the implementation in a way that could have failed, and the verdict."""

    checked: int = 0
    worst: Verdict = Verdict.EXACT


@dataclass(frozen=True, slots=True)
class MissedEdge:
    """An edge of the specification that was not reached: its command, the edge in words, and what came between."""

    command: str
    edge: str
    why: str


@dataclass
class TourCount:
    """What the tour has played: `walks` for the edges, and control sequences on the universal disk.

    A *pair* is a control sequence and a history of guest writes against it. `sequences` and `pairs` count what was
    played whole, each once, in however many sizes (`plays` counts these, too); `in_part` are the other sequences, by
    the reason. `writes` is the most writes of a history; `bounded` of the sequences have room for more, so that only
    writes not too far apart were combined. `seconds` are those of the universal disk alone.
    """

    walks: int = 0
    sequences: int = 0
    pairs: int = 0
    plays: int = 0
    writes: int = 0
    bounded: int = 0
    in_part: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Pairs per second."""
        return self.pairs / self.seconds if self.seconds > 0 else 0.0


@dataclass
class ImagesCount:
    """What the tour of images has taken: `covered` of `reachable` edges; `unreached` are the others, by reason."""

    covered: int = 0
    reachable: int = 0
    unreached: Counter[str] = field(default_factory=Counter)


@dataclass
class Report:
    """A whole run. `phases` are scenarios played by phase; `skipped` are capabilities not claimed, with the reason.

    `edges_covered` of `edges_reachable` are (control state, command, outcome) edges of the specification; `unreached`
    are the others, by what came between when the tour was after them. `reached` are the covered ones by command, and
    `missed` the others one by one.

    `not_repeatable` failed once, and not when it was played again. `only` is what was asked for, if that was not
    everything; `stopped` says why a run ended early by itself; `to_draw` is how many scenarios the profile draws.
    `claimed` and `not_claimed` are capabilities; `by_suite` are commands that the suite does itself.
    `before`: what the run began with, if it was to begin with what had failed in the last one. `list_not_written`:
    why the next run cannot know that of this one; "" if it can. `bounded`: what is larger than was asked for, with
    the reason. `workers_died`: processes of the run that were replaced; `played_again`: items that were lost with
    them, and were played by those who took their place.
    """

    suite: str
    adapter: str
    implementation: str
    profile: str
    seed: int
    phases: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    compared: int = 0
    seconds: float = 0.0
    commands: dict[str, CommandCount] = field(default_factory=dict)
    properties: dict[str, PropertyCount] = field(default_factory=dict)
    not_realised: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    ledger: list[LedgerResult] = field(default_factory=list)
    edges_covered: int = 0
    edges_reachable: int = 0
    unreached: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    missed: list[MissedEdge] = field(default_factory=list)
    tour: TourCount = field(default_factory=TourCount)
    images: ImagesCount = field(default_factory=ImagesCount)
    failures: list[Failure] = field(default_factory=list)
    not_repeatable: list[Failure] = field(default_factory=list)
    interrupted: bool = False
    only: str | None = None
    stopped: str = ""
    to_draw: int = 0
    claimed: frozenset[str] = frozenset()
    not_claimed: frozenset[str] = frozenset()
    by_suite: frozenset[str] = frozenset()
    before: FailedFirst | None = None
    list_not_written: str = ""
    bounded: dict[str, str] = field(default_factory=dict)
    workers_died: int = 0
    played_again: int = 0

    @property
    def scenarios(self) -> int:
        """How many scenarios were played."""
        return self.phases.total()

    @property
    def lost_in_words(self) -> str:
        """What became of a run whose processes died."""
        died, again = self.workers_died, self.played_again
        workers = "a worker" if died == 1 else f"{died:,} workers"
        return f"{workers} died; {again:,} item{' was' if again == 1 else 's were'} played again"

    @property
    def ledger_broken(self) -> bool:
        """An expected failure that does not fail any more, or fails in another way."""
        return any(each.outcome in ("gone", "changed") for each in self.ledger)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the run; expected failures count as known."""
        known = [Verdict.KNOWN for each in self.ledger if each.outcome == "known"]
        known += [Verdict.NOT_REPEATABLE] * bool(self.not_repeatable)
        return worst([each.verdict for each in self.failures] + known)

    @property
    def safety(self) -> Verdict:
        """Exact if no write was seen lost; unsafe or broken if one was; not repeatable if it did not come again."""
        doubted = [Verdict.NOT_REPEATABLE for each in self.not_repeatable if not each.verdict.safe]
        return worst([each.verdict for each in self.failures if not each.verdict.safe] + doubted)

    @property
    def exactness(self) -> Verdict:
        """Exact if nothing was reported that need not be."""
        wasteful = [f for each in self.failures for f in each.findings if f.verdict is Verdict.WASTEFUL]
        doubted = any(f.verdict is Verdict.WASTEFUL for each in self.not_repeatable for f in each.findings)
        return Verdict.WASTEFUL if wasteful else Verdict.NOT_REPEATABLE if doubted else Verdict.EXACT

    @property
    def conformant(self) -> bool:
        """All that was run agrees, and was not interrupted. What is *called* conformant is less: see `outcome`."""
        found = self.failures or self.not_repeatable or self.ledger_broken
        return not found and not self.interrupted and self.scenarios > 0
