"""A QEMU that does not answer is started again, and not for ever; one that ends is not."""

import asyncio
from pathlib import Path

import pytest
from cbtcheck.judging import emulator
from cbtcheck.judging.emulator import Emulator, EmulatorProblem
from cbtcheck.judging.plan import Plan
from cbtcheck.judging.storage import Storage

SILENT = "exec sleep 1000"
LOGGED = "echo start >> {log}\n"


def started(directory: Path, script: str) -> str:
    """The version of what a plan's QEMU is, with this as the QEMU."""
    binary = directory / "qemu"
    binary.write_text("#!/bin/sh\n" + (LOGGED + script).format(log=directory / "log"))
    binary.chmod(0o755)

    async def begin() -> str:
        plan = Plan("full", "increment", "restore", binary=str(binary))
        storage = Storage(plan.disks, directory)
        await storage.start()
        host = Emulator(plan, storage, directory)
        try:
            device = await host.start()
            await device.close()
            return host.version
        finally:
            await host.kill()
            await storage.close()

    return asyncio.run(begin())


def starts(directory: Path) -> int:
    return (directory / "log").read_text().count("start")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "SOON", 0.2)


@pytest.mark.qemu
@pytest.mark.parametrize("silent", [1, emulator.TRIES - 1])
def test_one_that_is_silent_some_times_is_started_once_more(binary: str, tmp_path: Path, silent: int) -> None:
    in_the_end = f'[ "$(wc -l < {{log}})" -gt {silent} ] || {SILENT}\nexec {binary} "$@"'
    assert started(tmp_path, in_the_end)
    assert starts(tmp_path) > silent


def test_one_that_stays_silent_is_not_started_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "STARTS", 0.2)
    with pytest.raises(EmulatorProblem, match=r"qemu: it does not answer within 0\.2 s$"):
        started(tmp_path, SILENT)
    assert starts(tmp_path) == emulator.TRIES


def test_one_that_ends_by_itself_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(EmulatorProblem, match=r"qemu: QEMU has ended by itself \(exit code 1\).*: no memory$"):
        started(tmp_path, "echo no memory; exit 1")
    assert starts(tmp_path) == 1
