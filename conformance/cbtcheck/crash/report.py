"""How far a run goes, and what comes of it: of one part, and of all parts together, in their order."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from cbtcheck.crash.finding import Finding, Kind


@dataclass(frozen=True, slots=True)
class Profile:
    """How far a run goes: crash states, requests that fail, and the seed of what is drawn."""

    states: int
    faults: int
    seed: int


@dataclass(slots=True)
class Counts:
    """What is counted. Seconds are those of processors."""

    histories: int = 0
    states: int = 0
    torn: int = 0
    """Those of the states that have torn writes, or that torn writes were looked for in."""
    read: int = 0
    states_after_faults: int = 0
    epochs: int = 0
    cut: int = 0
    confirmed: int = 0
    faults: int = 0
    judging: float = 0.0
    """Seconds that it took to judge the states, and those after faults."""
    looks: int = 0
    """So often QEMU was shown a state: those of the same content once in each process of the run."""
    looking: float = 0.0
    """Seconds that this took, of the suite and of QEMU."""


@dataclass(slots=True)
class Part(Counts):
    """What came of a part of a run. `noted` are findings in their order, of one kind more than once perhaps."""

    noted: list[Finding] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)
    contents: set[bytes] = field(default_factory=set)
    """Digests of the states that were confirmed."""


@dataclass(slots=True)
class Report(Counts):
    """What came of a run."""

    adapter: str = "qemu"
    """Who was played: *qemu*, *reference* or *exec*."""
    command: str = ""
    """The program, of *exec*."""
    version: str = ""
    """Of the QEMU that played, or that looked at the states; "" if none did."""
    qemu_img: str = ""
    """The version of the `qemu-img` for offline operations; "" without one."""
    findings: dict[Kind, Finding] = field(default_factory=dict)
    disagreements: list[str] = field(default_factory=list)
    contents: set[bytes] = field(default_factory=set)
    """Digests of the states that were confirmed."""
    hung: str = ""
    """Why the run was given up, if it was."""
    killed: str = ""
    """Which process of the run itself was killed, so that there is no result."""
    interrupted: bool = False

    def take(self, part: Part) -> None:
        """A part is done: it counts, and of each kind of finding the one with the shortest history is kept."""
        for each in fields(Counts):
            setattr(self, each.name, getattr(self, each.name) + getattr(part, each.name))
        self.disagreements += part.disagreements
        self.contents |= part.contents
        for finding in part.noted:
            self._note(finding)

    def _note(self, finding: Finding) -> None:
        before = self.findings.get(finding.kind)
        if before is not None:
            before.times += 1
            if len(finding.history) >= len(before.history):
                return
            finding.times = before.times
        self.findings[finding.kind] = finding
