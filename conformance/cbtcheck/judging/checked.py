"""The other opinion: what `cbtspec verify` says of the recorded conversation, with the guest's writes in it."""

from __future__ import annotations

import io
from pathlib import Path

from cbtcheck.judging.conversation import backups_started
from cbtcheck.judging.play import Outcome
from cbtcheck.judging.recording import log_lines
from cbtcheck.judging.verdicts import Judgement
from cbtcheck.trace import quoted
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify


def write_log(outcome: Outcome, path: Path) -> None:
    """Writes the conversation for `cbtspec verify --format qmp --guest recorded`. `OSError`."""
    path.write_bytes(b"".join(log_lines(outcome.entries, outcome.nodes)))


def opinion(outcome: Outcome, sizes: dict[str, int]) -> str:
    """What verify says, and whether it is the same judgement; if not, why that may be. `sizes` are the disks'.

    A discard that the disk heeded in part, or not at all, stands in the log as a write that may have been made. Where
    it depends on such a write whether the backups give the disk back, verify has no opinion.
    """
    log = b"".join(log_lines(outcome.entries, outcome.nodes))
    if not log:
        return "not asked: nothing was recorded"
    try:
        report = verify(io.BytesIO(log), Options("qmp", guest="recorded", disks=_with_targets(outcome, sizes)))
    except TraceProblem as problem:
        return f"cannot read the recording: {problem}"
    says = _says(report)
    unsafe = outcome.judgement is Judgement.UNSAFE
    if report.number:
        return f"differs: {says}"
    if report.restores is None or (_depends(report) and _half_heeded(outcome)):
        return f"has no opinion: {says}"
    if report.restores is not unsafe:
        return f"agrees: {says}"
    if unsafe:
        return (
            f"differs: {says}. It sees what QEMU was told, and not what the tool did with the copies, nor which "
            "of them its restore takes"
        )
    return f"differs: {says}. It counts every backup that QEMU completed, also those that the tool does not keep"


def _with_targets(outcome: Outcome, sizes: dict[str, int]) -> dict[str, int]:
    """The sizes of the disks, and of the targets of their backups, which a recording need not have."""
    sizes = {outcome.nodes.get(name, name): size for name, size in sizes.items()}
    found = dict(sizes)
    for each in outcome.entries:
        if each.who == "tool" and each.point and each.raw:
            said = quoted.loads(each.raw.decode())
            for backup in backups_started(str(said.get("execute")), said.get("arguments")):
                if backup.get("device") in sizes and isinstance(backup.get("target"), str):
                    found.setdefault(backup["target"], sizes[backup["device"]])
    return found


def _says(report: TraceReport) -> str:
    if report.number:
        line, finding = report.findings[0]
        return f"{report.number} replies are not as specified ({report.worst.value}), first in line {line}: {finding}"
    if _depends(report):
        return "the backups give the disk back only if a write that may have been made was not made"
    if report.restores is None:
        return "no backup is complete in the recording, or the recording does not tell whether it gives the disk back"
    return "the backups give the disk back" if report.restores else "the backups do not give the disk back"


def _depends(report: TraceReport) -> bool:
    tables = [table for table, _ in report.tables]
    return any(each.depends for each in tables) and not any(each.unsafe for each in tables)


def _half_heeded(outcome: Outcome) -> bool:
    """Whether the disk has left out a part of a discard."""
    return any(
        sum(length for _, length in each.parts) < each.write.length
        for each in outcome.entries
        if each.write is not None and each.parts is not None
    )
