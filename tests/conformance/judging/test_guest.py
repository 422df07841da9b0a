"""The guest's way to its disks: QEMU hangs up on who is slow to introduce himself, and is asked again."""

import asyncio

import pytest
from cbtcheck.judging.guest import MOST_TRIES, ByExport
from cbtwire.nbd.client import DiskClient, NbdDisconnected


@pytest.mark.parametrize(("hangs_up", "served"), [(0, True), (2, True), (MOST_TRIES, True), (MOST_TRIES + 1, False)])
def test_who_is_hung_up_on_comes_again(hangs_up: int, served: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def connect(path: str, export: str) -> object:
        asked.append((path, export))
        if len(asked) <= hangs_up:
            raise NbdDisconnected("the NBD connection was lost")
        return object()

    monkeypatch.setattr(DiskClient, "connect", connect)
    if served:
        asyncio.run(ByExport.connect("/socket", ["disk0"]))
    else:
        with pytest.raises(NbdDisconnected):
            asyncio.run(ByExport.connect("/socket", ["disk0"]))
    assert asked == [("/socket", "disk0")] * min(hangs_up + 1, MOST_TRIES + 1)
