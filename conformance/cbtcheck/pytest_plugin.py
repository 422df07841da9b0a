"""The pytest plugin: options for suites of the class `cbtcheck.conformance_tests.ConformanceTests`.

It is there wherever cbtspec is installed, costs nothing where it is not used, and prints its seed where it is.
"""

from __future__ import annotations

import pytest

PINNED_SEED = 20160121


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--cbtspec-profile`, `--cbtspec-seed` and `--cbtspec-examples`."""
    group = parser.getgroup("cbtspec", "conformance of changed block tracking")
    group.addoption("--cbtspec-profile", choices=["quick", "ci", "deep"], default="quick",
                    help="how much of the suite is run (default: quick)")  # fmt: skip
    group.addoption("--cbtspec-seed", type=int, default=PINNED_SEED, metavar="INT",
                    help=f"what scenarios are drawn from (default: {PINNED_SEED})")  # fmt: skip
    group.addoption("--cbtspec-examples", type=int, default=200, metavar="N",
                    help="how many scenarios are drawn, in batches of 25 (default: 200)")  # fmt: skip


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The seed, if scenarios were drawn or chosen with it and something failed."""
    failed = terminalreporter.stats.get("failed", [])
    if any("test_drawn[" in each.nodeid or "test_restarts[" in each.nodeid for each in failed):
        seed = terminalreporter.config.getoption("cbtspec_seed")
        terminalreporter.write_line(f"cbtspec: drawn with --cbtspec-seed {seed}")
