"""The report of a run that could not begin, because nothing was known of the adapter yet."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from cbtcheck.host.version import VERSION
from cbtcheck.run.options import Options
from cbtcheck.run.report import Failure, Report
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.scenario.verdict import Finding, Verdict


def not_begun(name: str, command: Sequence[str], options: Options, why: str) -> Report:
    """The report of a run on an adapter that broke before it was known what it is: it, too, is to be read."""
    report = Report(VERSION, name, shlex.join(command) or name, options.profile, options.seed)
    finding = Finding(Verdict.BROKEN, "", "hello", "what it is, and what it can do", why)
    nothing = Scenario({}, (), title="it was not known what to ask for")
    report.failures.append(Failure("hello", nothing, [], [finding]))
    return report
