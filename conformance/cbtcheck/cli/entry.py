"""Where `cbtspec` begins: Ctrl-C first, before anything is imported that takes time; then `cbtcheck.cli.ending`."""

from __future__ import annotations

import os
import signal
import sys

from cbtcheck.cli.signals import ENDING, INTERRUPTED, USAGE, obey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


def main() -> int:
    """Runs the command line; returns the exit code."""
    try:
        obey(_leave_at_once)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)  # whoever has started this may have had them wait
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    try:
        from cbtcheck.cli.ending import run
    except (OSError, ImportError, MemoryError) as problem:
        print(f"cbtspec: it cannot be loaded: {problem or 'there is not enough memory'}", file=sys.stderr)
        return USAGE
    return run()


def _leave_at_once(number: int, frame: FrameType | None) -> None:
    """While modules are imported there is nothing to tidy up, and nothing to say."""
    os._exit(INTERRUPTED)
