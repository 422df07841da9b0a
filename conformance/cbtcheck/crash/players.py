"""Who plays: a real QEMU, the images of cbtspec itself, or a program; as words that another process understands."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cbtcheck.crash.machine import Machine
from cbtcheck.crash.own import Own
from cbtcheck.crash.program import Program
from cbtcheck.crash.tasks import Cast


@dataclass(frozen=True, slots=True)
class Who:
    """The `adapter`, and what it needs: a program's command; the daemon and `qemu-img`, if there are any."""

    adapter: str
    command: tuple[str, ...] = ()
    binary: str | None = None
    qemu_img: str | None = None

    @asynccontextmanager
    async def playing(self, directory: str) -> AsyncIterator[Cast]:
        """Who plays, while this lasts; with sockets in this directory.

        Raises what `Daemon.start` does, and `ProgramMissing`.
        """
        if self.adapter == "exec":
            program = await Program.start(directory, self.command)
            try:
                yield Cast(program, None, self.adapter, shlex.join(self.command))
            finally:
                await program.close()
            return
        looker = None if self.binary is None else await Machine.start(directory, self.binary, self.qemu_img)
        try:
            yield Cast(Own() if self.adapter == "reference" or looker is None else looker, looker, self.adapter)
        finally:
            if looker is not None:
                await looker.close()
