"""What a child may take: time, memory, output."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Times in seconds of an idle machine (see `cbtcheck.host.pace`), sizes in bytes.

    `message`: until a reply is there, whole. `scenario`: that the suite waits in one scenario, all in all. `start`:
    until the first reply of a program that has just been started. `line`: the longest reply. `memory`: what all
    processes of the child have in physical memory together (Linux only). Address space is not limited: sanitizers and
    garbage collectors reserve much more than they use.
    """

    message: float = 10.0
    scenario: float = 60.0
    start: float = 10.0
    line: int = 16 * MIB
    memory: int = 1024 * MIB
    log: int = 64 << 10
    """How much of the end of standard error is kept."""

    grace: float = 0.5
    """How long a child has to go by itself, when it was asked to."""


DEFAULT = Limits()
