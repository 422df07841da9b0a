"""What came of a run, in text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cbtcheck.crash.finding import KNOWN, Finding
from cbtcheck.crash.history import told
from cbtcheck.crash.judge import DIED
from cbtcheck.crash.report import Profile, Report
from cbtcheck.crash.states import MOST_EXHAUSTIVE
from cbtcheck.host.printable import plain, plain_json
from cbtcheck.host.version import VERSION


def lines(report: Report, profile: Profile) -> Iterator[str]:
    """The report, line by line."""
    own = "cbtspec's own images" if report.adapter == "reference" else plain(report.command)
    whose = f"QEMU {plain(report.version)}" if report.adapter == "qemu" else own
    yield f"cbtspec {VERSION}: crash states and failing requests, {whose}, seed {profile.seed}"
    offline = f" (offline operations by {report.qemu_img or 'none: there is no qemu-img'})"
    yield f"histories   {report.histories:,}{offline if report.adapter == 'qemu' else ''}"
    differ = f"{report.torn:,} with torn writes; {report.read:,} differ in what is read"
    yield f"states      {report.states:,} judged ({differ})"
    yield f"            {_bound(report)}"
    if report.adapter == "exec":
        yield "confirmed   the program itself opens each state"
    elif report.version:
        opened = f"{report.confirmed:,} states by QEMU {plain(report.version.split()[0])}"
        different = f"{len(report.contents):,} different ones were opened"
        yield f"confirmed   {opened} ({different}), {len(report.disagreements)} seen otherwise"
    else:
        yield "confirmed   none: there is no qemu-storage-daemon"
    if report.adapter != "exec" and report.judging:
        yield f"rates       {_rates(report)}"
    yield f"faults      {report.faults:,} requests failed; {report.states_after_faults:,} states judged afterwards"
    for each in report.disagreements:
        yield f"DISAGREE    {plain(each)}"
    if report.hung or report.killed:
        yield f"GIVEN UP    {plain(report.hung or report.killed)}"
    for number, finding in enumerate(ordered(report), 1):
        yield ""
        yield from _shown(number, finding)
    yield ""
    yield verdict(report)


def _rates(report: Report) -> str:
    confirmed = f", {_confirmed(report):,} opened by QEMU" if report.looking else ""
    return f"{_judged(report):,} states judged{confirmed}, per second of a processor"


def _judged(report: Report) -> int:
    """States a second of this program's processor time; 0 if there were none."""
    return round((report.states + report.states_after_faults) / report.judging) if report.judging else 0


def _confirmed(report: Report) -> int:
    """States a second of this program's and QEMU's processor time."""
    return round(report.looks / report.looking) if report.looking else 0


def ordered(report: Report) -> list[Finding]:
    """Findings that are not known come first, then by verdict."""
    return sorted(report.findings.values(), key=lambda each: (each.known, each.verdict, each.kind))


def _bound(report: Report) -> str:
    if not report.cut:
        return "every subset of every epoch was taken"
    return (
        f"{report.cut:,} of {report.epochs:,} epochs between flushes have more than {MOST_EXHAUSTIVE} pieces: "
        "a sample of their subsets"
    )


def _shown(number: int, finding: Finding) -> Iterator[str]:
    known = f" [{finding.known}, known: {KNOWN[finding.known]}]" if finding.known else ""
    yield f"{number}. {finding.verdict.upper()}{known}; met {finding.times} times"
    yield f"   {plain(finding.why)}"
    yield f"   on       {finding.setting}"
    yield f"   history  {told(finding.history)}"
    if finding.fault is not None:
        yield f"   request  {finding.fault.number} ({finding.request}, in {finding.step}): {finding.fault}"
    else:
        yield f"   crash    in {finding.step}, {finding.assumption} writes"
    if finding.when:
        yield "   seen     when the image was used again"
    for line in finding.picture:
        yield f"     {plain(line)}"
    yield f"   replay   {finding.replay()}"


def verdict(report: Report) -> str:
    """The last line."""
    new = [each for each in report.findings.values() if not each.known]
    known = sorted({each.known for each in report.findings.values() if each.known})
    more = f" Known ones were met: {', '.join(known)}." if known else ""
    if report.killed:
        return f"NO RESULT: {report.killed}.{more}"
    if report.interrupted and not new and not broken(report):
        return f"Interrupted. Nothing was found until then that is not known.{more}"
    if broken(report):
        return f"BROKEN: QEMU dies or hangs in an unknown way, or sees a state otherwise than our reader.{more}"
    if new:
        return f"FOUND: {len(new)} kinds of failure that are not known.{more}"
    return f"Nothing was found that is not known.{more}"


def broken(report: Report) -> bool:
    """Whether there is something of which nothing can be said but that it must not be."""
    new = (each for each in report.findings.values() if not each.known)
    return bool(report.disagreements or report.hung or any(each.verdict == DIED for each in new))


def to_json(report: Report, profile: Profile) -> str:
    """The same as JSON."""
    data: dict[str, Any] = {
        "format": "cbtspec-crash", "version": 1, "adapter": report.adapter, "program": report.command,
        "qemu": report.version, "qemu_img": report.qemu_img, "seed": profile.seed,
        "histories": report.histories, "states": report.states, "states_torn": report.torn,
        "states_read": report.read,
        "states_after_faults": report.states_after_faults, "epochs": report.epochs, "epochs_in_part": report.cut,
        "confirmed": report.confirmed, "contents_confirmed": len(report.contents),
        "faults": report.faults, "disagreements": report.disagreements,
        "judged_per_cpu_second": _judged(report), "confirmed_per_cpu_second": _confirmed(report),
        "given_up": report.hung or report.killed, "verdict": verdict(report),
        "findings": [_plain(each) for each in ordered(report)],
    }  # fmt: skip
    return plain_json(json.dumps(data, indent=1, ensure_ascii=False))


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "verdict": finding.verdict, "known": finding.known, "why": finding.why, "step": finding.step,
        "request": finding.request, "seen_again": bool(finding.when), "times": finding.times,
        "cluster_size": 1 << finding.setting.cluster_bits, "backing": finding.setting.backed,
        "trims": finding.setting.trims, "assumption": finding.assumption, "history": told(finding.history),
        "fault": str(finding.fault) if finding.fault else "", "picture": finding.picture,
        "qemu_differs": finding.confirmed, "replay": finding.replay(),
    }  # fmt: skip
