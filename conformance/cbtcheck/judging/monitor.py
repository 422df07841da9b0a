"""A monitor of QEMU for the suite itself, beside the one that the tool speaks to."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

LONGEST_LINE = 16 << 20


class MonitorLost(ConnectionError):
    """QEMU has gone."""


class Refused(Exception):
    """QEMU has refused a command; the message is its own."""


class OwnMonitor:
    """Sends commands one at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._one_at_a_time = asyncio.Lock()
        self.version = ""

    @classmethod
    async def connect(cls, path: str) -> OwnMonitor:
        """A monitor that takes commands. `OSError` if nobody listens, `MonitorLost` if QEMU goes."""
        reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST_LINE)
        monitor = cls(reader, writer)
        greeting = (await monitor._message())["QMP"]["version"]
        number = greeting["qemu"]
        monitor.version = f"{number['major']}.{number['minor']}.{number['micro']}"
        await monitor.execute("qmp_capabilities")
        return monitor

    async def execute(self, command: str, **arguments: Any) -> Any:
        """What QEMU returns. `Refused`; `MonitorLost`."""
        async with self._one_at_a_time:
            said = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
            try:
                self._writer.write(said)
                await self._writer.drain()
            except OSError as problem:
                raise MonitorLost(str(problem)) from None
            while True:
                message = await self._message()
                if "return" in message:
                    return message["return"]
                if "error" in message:
                    raise Refused(str(message["error"].get("desc")))

    async def _message(self) -> dict[str, Any]:
        try:
            line = await self._reader.readline()
        except (OSError, ValueError) as problem:
            raise MonitorLost(str(problem)) from None
        if not line.endswith(b"\n"):
            raise MonitorLost("QEMU has closed its monitor")
        found: dict[str, Any] = json.loads(line)
        return found

    async def close(self) -> None:
        """Leaves."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
