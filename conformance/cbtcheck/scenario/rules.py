"""The rule that a finding breaks, in one sentence for people."""

from __future__ import annotations

import re

from cbtcheck.scenario.verdict import Finding, Verdict

PROPERTIES = {
    "NO-LOST-WRITE": "Whatever was written and is not in a backup yet must be reported as dirty: a missing bit "
                     "is a lost write.",
    "POINT-IN-TIME": "A backup, and a disk restored from backups, has the content that the disk had when the job "
                     "started, byte for byte.",
    "DELIVERED": "A job may only report success if everything it had to copy has reached its target.",
    "FAILURE-KEEPS": "A job that fails or is cancelled leaves its bitmap with all that was dirty before, and all "
                     "that was written since.",
    "FROZEN-IS-STILL": "While a job uses a bitmap, the bits that it reports do not change.",
    "ONE-HEIR": "A bitmap exists from the moment it is added until it is removed, and has a successor while a job "
                "uses it, and only then.",
    "ATOMIC": "A command that is refused, and a transaction of which one action is refused, changes nothing.",
    "EXACT": "Only what was written, merged or left over by a failed job is reported as dirty, in whole granules.",
    "RELEASE": "Every job can come to an end, and its bitmap can be used again afterwards.",
    "RULE-DISK": "A bitmap in an image is absent, or openly not to be trusted, or has all that is owed, whatever "
                 "happens, and whenever.",
    "BATCH": "Writes that follow each other mark what they would mark one by one.",
}  # fmt: skip

PLACES = (
    (r" granularity$", "A bitmap keeps the granularity with which it was added."),
    (r" recording$", "A bitmap records unless it was added disabled or disabled since; while a job uses it, its "
                     "successor does."),
    (r" busy$", "A bitmap is busy while a job uses it, and only then."),
    (r" persistent$", "A bitmap is to be stored if it was added so, or loaded."),
    (r"^image of ", "An image is closed, or open as it was opened or reopened."),
    (r" bits$", "The count, the hash and the bits that are read of a bitmap tell of the same granules."),
    (r" successors$", "Each bitmap that a job uses has one successor, with its granularity."),
    (r"^job \S+ copied$", "A job has copied just what it reports as its progress."),
    (r"^job \S+$", "A job exists from its start to its end, in the phase that its commands have led to."),
    (r"^jobs ended$", "A job ends when it has nothing left to copy, is cancelled or fails, with the outcome that "
                      "this means."),
    (r"^writes in flight$", "A guest write is in flight from its begin to its end."),
    (r"^restore$", "Only backups that have ended can be restored."),
)  # fmt: skip

BROKEN = "Every command is answered within its time, with a reply that means something, and the program lives on."

ACCEPTED = "What is legal in a state is accepted."

REFUSED = {
    "not found": "A command that names a disk, bitmap, job or write that is not there is refused.",
    "exists": "A name that is taken is refused.",
    "busy": "A bitmap that a job uses, or that is about to be removed, may not be changed.",
    "size mismatch": "Bitmaps of disks of different sizes are not merged.",
    "invalid": "A command that is malformed, out of range or means nothing is refused.",
    "wrong phase": "A job is only given commands that its phase admits.",
    "read only": "What is open for reading only, and a bitmap that is stored there, may not be changed.",
    "inconsistent": "A bitmap that is not to be trusted may only be removed.",
    "aborted": "A transaction with an abort is refused.",
    "copy failed": "What cannot be copied before a guest write makes the write fail, or the job, as the job says.",
}
"""By the kind of refusal that the specification has."""


def rule(finding: Finding) -> str:
    """The rule in one sentence; always one."""
    if finding.verdict is Verdict.BROKEN:
        return BROKEN
    if finding.property in PROPERTIES:
        return PROPERTIES[finding.property]
    for place, said in PLACES:
        if re.search(place, finding.where):
            return said
    refusal = re.match(r"refused: ([a-z ]+)", finding.expected)
    return REFUSED.get(refusal[1].strip(), ACCEPTED) if refusal else ACCEPTED
