"""What was found, once for each kind, and which of it is known."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from cbtcheck.crash.history import GUEST, Step, told
from cbtcheck.crash.judge import DIED, LOST, STUCK, UNOPENABLE
from cbtcheck.crash.recording import Fault
from cbtcheck.crash.setting import Setting
from cbtcheck.crash.states import SECTORS

Kind = tuple[str, str, str, str, str]
"""Verdict, in which step (of the crash, or of the request that failed), which request failed, after which write, and
when it was seen."""


@dataclass(slots=True)
class Finding:
    """One kind of failure, with the shortest history that shows it.

    `when` is "" for what a crash leaves, and *again* for what is seen when the image is used again after a fault.
    `confirmed` is "" if QEMU sees the same in this state. `times` says how often it was met.
    """

    verdict: str
    step: str
    request: str
    when: str
    why: str
    setting: Setting
    assumption: str
    history: tuple[Step, ...]
    fault: Fault | None
    picture: list[str] = field(default_factory=list)
    confirmed: str = ""
    times: int = 1
    before: str = ""
    """What was written last before the request that failed: *header*, *entry* (8 bytes of a table) or *other*."""
    adapter: str = "qemu"
    command: str = ""

    @property
    def kind(self) -> Kind:
        """What makes two findings the same."""
        return self.verdict, self.step, self.request, self.before, self.when

    @property
    def known(self) -> str:
        """The number of the known finding that this is; "" if it is none."""
        return known(self) if self.adapter == "qemu" else ""

    def replay(self) -> str:
        """The line that finds it again."""
        whose = "" if self.adapter == "qemu" else f" {self.adapter}"
        words = [f'cbtspec crash{whose} --history "{told(self.history)}"']
        words.append(f"--cluster-size {1 << self.setting.cluster_bits}")
        words.append(f"--trims {self.setting.trims}")
        words += ["--backing"] if self.setting.backed else []
        words += ["--sectors"] if self.assumption == SECTORS else []
        if self.fault is not None:
            often = ":for-ever" if self.fault.for_ever else ""
            words.append(f"--fault {self.fault.number}:{errno.errorcode[self.fault.error]}{often}")
        words += [f"-- {self.command}"] if self.command else []
        return " ".join(words)


KNOWN = {
    "CRASH-1": "a store whose last flush fails frees what the header now refers to",
    "CRASH-2": "a reopening as read-only whose last flush fails leaves a bitmap that says valid, and goes on",
    "CRASH-3": "a removal whose last flush fails frees the directory that the header now refers to",
    "CRASH-4": "a reopening for writing whose marking of bitmaps fails succeeds, and no write does",
    "CRASH-5": "an L1 update whose flush fails frees the L2 table that the file now refers to",
    "CRASH-6": "a torn write of the header has half of the bitmaps extension (clusters of 64 KiB, sectors of 512)",
    "CRASH-7": "a reopening of an image that was found to be corrupt ends the process",
}
"""What was reproduced outside of the suite; docs/findings/crashes.md has each."""


def known(finding: Finding) -> str:
    """The number of the known finding that this is; "" if it is none."""
    verdict, step, request = finding.verdict, finding.step, finding.request
    if verdict == DIED and "bdrv_reopen_prepare: Assertion `reopen_state->bs->drv != NULL'" in finding.why:
        return "CRASH-7"
    if request == "flush" and verdict in (LOST, UNOPENABLE, STUCK):
        if finding.before == "header" and (step in ("close", "quit") or step.startswith("offline")):
            return "CRASH-1"
        if step == "reopen ro" and (finding.before == "header" or verdict == STUCK):
            return "CRASH-2"
        if finding.before == "header" and step in ("remove", "transaction-remove", "abort-remove"):
            return "CRASH-3"
        if finding.before == "entry" and step in GUEST:
            return "CRASH-5"
    if not request and finding.assumption == SECTORS and "zero bitmaps (at byte 512)" in finding.why:
        return "CRASH-6"
    if step == "reopen rw" and verdict == STUCK:
        return "CRASH-4"
    return ""
