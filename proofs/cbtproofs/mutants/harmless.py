"""Mutants that are nothing to find: they do the same in every state that can be reached, each argued in one line.

A mutant that only refuses more, or differs in what no property is about, is not here: an implementation can be told
from it, so that refinement and conformance find it.
"""

from __future__ import annotations

ALIKE = "a frozen bitmap and its successor are enabled alike: freezing copies that, and nobody changes it meanwhile"
BEGUN = "a job that is there when a write lands was there when it began (a start drains), and knew of it then"

UNORDERED = "a table has no order, and whether some or all are such does not depend on the order of asking"

TOGETHER = "what happens at one instant has no order: the same jobs end, and the state is the same"

LOOKED_UP = "a bitmap was looked up exactly if the job has one"

EQUIVALENT: dict[str, str] = {
    "bitmap.recording: bitmap.enabled if bitmap.successor is None else bitmap.successor.enabled"
    " -> bitmap.enabled": ALIKE,
    "bitmap.abdicate: replace(bitmap) without enabled": ALIKE,
    "bitmap.reclaim: replace(bitmap) without enabled": ALIKE,
    "backup.work_list: sync == 'full' or bitmap is None -> sync == 'full'":
        "a job without a bitmap is a full one: start refuses every other",
    "backup.copied: job.good - clusters -> job.good":
        "what is copied was still to be copied, and so is not good yet (POINT-IN-TIME)",
    "backup.copied: clusters & job.intact -> clusters":
        "what is copied was still to be copied, and so is intact (POINT-IN-TIME)",
    "backup.all_copied: job.phase == 'running' and (not job.paused) and (not job.copying) and (not job.todo)"
    " -> job.phase == 'running' and (not job.paused) and (not job.todo)":
        "what is in flight is still to be copied: nothing to do means nothing in flight (POINT-IN-TIME)",
    "backup.released: job.mode == 'always' and outcome != 'completed' -> job.mode == 'always'":
        "a job that completed has nothing left to do, and all that was owed is good (DELIVERED): no leftovers",
    "node.usable_granularity: SMALLEST_GRANULARITY <= granularity <= LARGEST_GRANULARITY"
    " -> SMALLEST_GRANULARITY <= granularity":
        "a well formed command has a granularity below 2^32, and the next lower power of two is the largest allowed",
    "jobs.start: frozen is not None and command.bitmap is not None -> command.bitmap is not None":
        "a bitmap was looked up exactly if the command names one",
    "jobs.start: frozen is not None and command.bitmap is not None -> frozen is not None":
        "a bitmap was looked up exactly if the command names one",
    **{f"loops.{each}: in reverse": UNORDERED
       for each in ("mapped: fold(table)", "kept: fold(table)", "some: fold(items)", "every: fold(items)")},
    **{f"{each}: in reverse": TOGETHER
       for each in ("jobs.conclude: fold(outcomes)", "jobs.settle: fold(touched)", "jobs.settles: fold(group)",
                    "node.drain: fold(state.nodes[node].writes)", "transaction.drain_all: fold(state.nodes)")},
    "jobs.resume: job.phase == 'running' and job.paused -> job.paused":
        "a job that is paused is running: it is paused while it runs, and does not settle before it is resumed",
    "jobs.ends: job.bitmap is not None and frozen is not None -> frozen is not None": LOOKED_UP,
    "jobs.ends: job.bitmap is not None and frozen is not None -> job.bitmap is not None": LOOKED_UP,
    "node.record: with_jobs_of(state, node, lambda job: backup.content_changes(job, blocks)) -> state": BEGUN,
    "node.record: backup.content_changes(job, blocks) -> job": BEGUN,
}  # fmt: skip
"""Mutants by name, and why they do the same. A test plays them beside the right ones in a small world."""

NOT_FOUND_YET: dict[str, str] = {}
"""Mutants that do harm and that nothing finds, and what is missing. One that is found must leave this list."""
