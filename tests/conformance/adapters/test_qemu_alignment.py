"""A real QEMU on disks with sectors of 4 KiB marks whole sectors: waste, unless that is declared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cbtcheck.adapters.qemu.adapter import QemuAdapter
from cbtcheck.cli.command import main
from cbtcheck.follow.play import Player, verdict_of
from cbtcheck.run.bounds import bounds
from cbtcheck.scenario.scenario import Scenario, save
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.search.families import families, members
from cbtcheck.search.machine import draw_scenarios
from cbtmodel import commands as c
from click.testing import CliRunner

K4, K64 = 4096, 65536
DISKS = {"d": 8 * K64}
ADD = c.AddBitmap("d", "b", 512)
SCENARIOS: dict[str, tuple[c.Command, ...]] = {
    "a write": (ADD, c.Write("d", 5 * K64 + 700, 1)),
    "zeroes": (ADD, c.Write("d", 5 * K64 + 700, 1, "zeroes")),
    "a write in flight, and one that fails": (
        ADD, c.BeginWrite("d", "w", 3, 1), c.Write("d", 2 * K64 + 512, 512, "write", "failed"), c.EndWrite("d", "w"),
    ),
    "a successor": (
        ADD, c.StartBackup("j", "d", "full", "b", "always", cluster=K64, auto_finalize=False),
        c.Write("d", K64 + 1, 1), c.Copy("j", 0, K64), c.CancelJob("j"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def qemu(binary: str) -> Iterator[QemuAdapter]:
    made = QemuAdapter(binary, K4)
    yield made
    made.close()


def played(qemu: QemuAdapter, alignment: int, commands: tuple[c.Command, ...]) -> list[Finding]:
    claimed = qemu.capabilities
    try:
        qemu.capabilities = replace(claimed, alignment=alignment)
        return Player(qemu).play_scenario(Scenario(DISKS, commands))
    finally:
        qemu.capabilities = claimed


@pytest.mark.qemu
@pytest.mark.parametrize("name", SCENARIOS)
def test_whole_sectors_are_waste_unless_they_are_declared(qemu: QemuAdapter, name: str) -> None:
    for too_little in (1, 2048):
        found = played(qemu, too_little, SCENARIOS[name])
        assert verdict_of(found) is Verdict.WASTEFUL
        assert "8 granules" in found[0].seen or "-" in found[0].seen
    assert played(qemu, K4, SCENARIOS[name]) == []


@pytest.mark.qemu
def test_a_discard_is_not_padded(qemu: QemuAdapter) -> None:
    assert played(qemu, 1, (ADD, c.Write("d", K64, 512, "discard"))) == []


@pytest.mark.qemu
def test_what_is_drawn_agrees(qemu: QemuAdapter) -> None:
    """Of what has no known defect in any version: no transactions and no merges."""
    assert qemu.capabilities.disks == ({"disk0": 8 * K64}, {"disk0": 8 * K64, "disk1": 8 * K64})
    drawn: list[Scenario] = []
    plain = replace(qemu.capabilities, commands=qemu.capabilities.commands - {"transaction", "merge-bitmaps"})
    draw_scenarios(plain, drawn.append, seed=4, examples=15, steps=12)
    for scenario in drawn:
        assert Player(qemu).play_scenario(scenario) == []


@pytest.mark.qemu
def test_replay_has_an_option_for_it(binary: str, tmp_path: Path) -> None:
    save(Scenario(DISKS, SCENARIOS["a write"]), tmp_path / "s.json")
    replay = ["replay", str(tmp_path / "s.json"), "--adapter", "qemu", "--qemu-storage-daemon", binary]
    assert CliRunner().invoke(main, replay).exit_code == 0, "without sectors, QEMU marks the granule"
    assert CliRunner().invoke(main, [*replay, "--alignment", "4096"]).exit_code == 0


@pytest.mark.qemu
def test_a_disk_that_ends_within_a_sector_is_refused_in_words(binary: str, tmp_path: Path) -> None:
    save(Scenario({"d": K64 + 2048}, (c.AddBitmap("d", "b", 512),)), tmp_path / "s.json")
    replay = ["replay", str(tmp_path / "s.json"), "--adapter", "qemu", "--qemu-storage-daemon", binary]
    assert CliRunner().invoke(main, [*replay, "--alignment", "2048"]).exit_code == 0
    result = CliRunner().invoke(main, [*replay, "--alignment", "4096"])
    assert result.exit_code == 64
    assert "s.json cannot be played there: a disk of 67584 bytes, in sectors of 4096" in result.stderr


def test_disks_of_families_have_whole_sectors() -> None:
    """Granularities may be smaller than a sector, and disks are multiples of what is smallest."""
    claims = replace(QemuAdapter.capabilities, sector=K4, tails=False)
    sizes = {size for each in members(families(), claims, "quick") for size in each.scenario.disks.values()}
    assert len(sizes) > 10
    assert not any(size % K4 for size in sizes)
    assert bounds(claims)["disks that end within a sector of 4K"] == "that is all that is claimed"


def test_the_option_is_for_qemu_only() -> None:
    result = CliRunner().invoke(main, ["check", "reference", "--alignment", "4096"])
    assert result.exit_code == 64
    assert "--alignment is for the adapter 'qemu' only; others declare theirs (hello)." in result.stderr
