"""An adapter that is the specification itself, and can be told to be wrong; QEMU's daemon; and golden files.

The files in `golden/` are compared literally. After a change that is meant to change them, write them anew with
`pytest tests/conformance --regenerate-golden`, and review the difference.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from cbtcheck.adapter import (
    POISON,
    Adapter,
    AdapterBroken,
    Capabilities,
    Hint,
    Observation,
    Performed,
    Reply,
    SeenBitmap,
    SeenJob,
    digest,
)
from cbtcheck.adapters.qemu.daemon import BINARY_NAME, find_daemon
from cbtcheck.follow.judge import phase_of
from cbtcheck.follow.play import Player
from cbtcheck.run.report import CommandCount, Failure, LedgerResult, PropertyCount, Report, TourCount
from cbtcheck.scenario.scenario import Scenario, Step
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.sets.bitsets import Bits, BitSets
from cbtmodel.backup import Ended
from cbtmodel.bitmap import busy, recording
from cbtmodel.commands import AddBitmap, Command, Write
from cbtmodel.node import initial
from cbtmodel.step import step

GOLDEN = Path(__file__).parent / "golden"
REPORTED = (AddBitmap("disk0", "b0", 65536), Write("disk0", 65536, 4096))


class Mirror(Adapter):
    """Does what the specification says, but loses the granules `lost`, invents `added`, and dies at `dies_at`."""

    name = "mirror"
    capabilities = Capabilities(frozenset(), (65536,), (65536,))
    version = "mirror 1.0"

    def __init__(self, lost: int = 0, added: int = 0, dies_at: int = -1, spoils: bool = False) -> None:
        self.lost, self.added, self.dies_at, self.spoils = lost, added, dies_at, spoils

    def reset(self, disks: dict[str, int]) -> None:
        self.disks, self.performed = disks, 0
        self.space = BitSets(512)
        self.state = initial(self.space, disks)
        self.ended: dict[str, Ended[Bits]] = {}

    def perform(self, command: Command, hint: Hint) -> Performed:
        self.performed += 1
        if self.performed == self.dies_at:
            raise AdapterBroken("it died", "line one\nSegmentation fault")
        result = step(self.state, command)
        self.state = result.state
        self.ended |= {end.job_id: end for end in result.ended}
        reply = Reply(result.refusal.kind, result.refusal.reason) if result.refusal else Reply()
        return Performed(((command, reply),), tuple((end.job_id, end.outcome) for end in result.ended))

    def observe(self, exact: frozenset[tuple[str, str]] | None = None) -> Observation:
        bitmaps = {}
        for node_name, node in self.state.nodes.items():
            for name, bitmap in node.bitmaps.items():
                word, granules = self.bits(node_name, name), -(-node.size // bitmap.granularity)
                bitmaps[node_name, name] = SeenBitmap(
                    bitmap.granularity, recording(bitmap), busy(bitmap), word.bit_count(), digest(word, granules)
                )
        jobs = {job_id: SeenJob(phase_of(job), None) for job_id, job in self.state.jobs.items()}
        return Observation(bitmaps, jobs)

    def bits(self, node: str, name: str) -> int:
        bitmap = self.state.nodes[node].bitmaps[name]
        word = self.space.granules(bitmap.marks.dirty, bitmap.granularity, self.disks[node])
        return word & ~self.lost | (self.added if word else 0)

    def disk(self, node: str) -> bytes:
        return bytes(self.disks[node])

    def target(self, job: str) -> bytes:
        end = self.ended[job]
        content = bytearray([POISON]) * self.disks[end.job.node]
        copied = (end.job.scope - end.job.todo).word
        for block in range(len(content) // 512):
            if copied >> block & 1:
                content[block * 512 : block * 512 + 512] = bytes([self.spoils]) * 512
        return bytes(content)


@pytest.fixture
def mirror() -> type[Mirror]:
    return Mirror


@pytest.fixture
def play() -> Callable[..., Player]:
    """Plays steps on disks until something differs; the player that it returns has the frames."""

    def played(steps: list[Step], disks: dict[str, int] | None = None, adapter: Adapter | None = None) -> Player:
        player = Player(adapter or Mirror())
        player.begin(disks or {"disk0": 1 << 20})
        player.play_steps(steps)
        return player

    return played


@pytest.fixture(scope="session")
def binary() -> str:
    """The path of a real qemu-storage-daemon: CBTSPEC_QEMU, or the one on PATH.

    Without one the test is skipped, or fails if one is required; one that is named must be there.
    """
    named = os.environ.get("CBTSPEC_QEMU")
    if named is None and shutil.which(BINARY_NAME) is None:
        reason = f"{BINARY_NAME} is not on PATH"
        if os.environ.get("CBTSPEC_REQUIRE_QEMU") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return find_daemon(named)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate-golden", action="store_true", help="write the files in tests/conformance/golden")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with a golden file, or writes it."""

    def compare(name: str, text: str) -> None:
        if request.config.getoption("--regenerate-golden", default=False):
            (GOLDEN / name).write_text(text, encoding="utf-8")
        assert text == (GOLDEN / name).read_text(encoding="utf-8")

    return compare


# Reports


@pytest.fixture
def agreeing() -> Report:
    return Report(
        suite="0.1.0", adapter="reference", implementation="reference implementation 0.1.0", profile="quick",
        seed=20160121, phases=Counter(workflows=8, drawn=1992), steps=43210, compared=777, seconds=10.0,
        commands={
            "AddBitmap": CommandCount(1200, Counter({"exists": 3, "invalid": 40})),
            "write": CommandCount(9000),
        },
        properties={"NO-LOST-WRITE": PropertyCount(40000), "ATOMIC": PropertyCount(43)},
        not_realised=Counter(BeginCopy=12), skipped={"discard": "the adapter has no discard"},
        edges_covered=180, edges_reachable=200, unreached=Counter({"copy: not made to happen": 20}),
        tour=TourCount(90, 40, 640, 80, 5, 2, Counter({"merge-bitmaps: turned away (merge-loses)": 3}), 0.5),
    )  # fmt: skip


@pytest.fixture
def failing(agreeing: Report, play, mirror) -> Report:
    player = play(list(REPORTED), adapter=mirror(lost=2))
    findings = [finding for frame in player.frames for finding in frame.findings]
    saved = Path("reports/lost write.json")
    agreeing.failures = [Failure("drawn", Scenario({"disk0": 1 << 20}, REPORTED), player.frames, findings, saved)]
    agreeing.properties["NO-LOST-WRITE"].worst = Verdict.UNSAFE
    agreeing.commands["write"].worst = Verdict.UNSAFE
    agreeing.ledger = [
        LedgerResult("merge-loses", "A merge loses bits", "known", "lost 1 granule", Verdict.UNSAFE, 31),
        LedgerResult("old-crash", "A crash", "skipped", "only before 8.0", Verdict.SKIPPED),
    ]
    return agreeing


@pytest.fixture
def nothing() -> Report:
    return Report("0.1.0", "qemu", "qemu-storage-daemon 7.2", "quick", 1)
