"""How `cbtspec` ends where nothing else is known yet: its exit codes, and what Ctrl-C and SIGTERM do."""

from __future__ import annotations

import signal

USAGE, INTERNAL, OUTPUT, INTERRUPTED = 64, 70, 74, 130
"""As in `cbtcheck.scenario.verdict.EXIT_CODES`, which is not imported here: it may be what fails."""

ENDING = (signal.SIGINT, signal.SIGTERM)


def obey(handler: object) -> None:
    """What Ctrl-C and SIGTERM do from now on."""
    for number in ENDING:
        signal.signal(number, handler)  # type: ignore[arg-type]
