"""QMP commands as the specification's, the other way round than `cbtwire.qmp`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from cbtmodel import commands as c
from cbtmodel.alphabet import ON_BITMAP, ON_JOB
from cbtmodel.traits import verb
from cbtwire.qmp import CLUSTER, kind_of_refusal

from cbtcheck.trace.places import Places, Untranslatable
from cbtcheck.trace.qmp_actions import actions_in

SYNCS = {"full": "full", "top": "full", "none": "full", "incremental": "incremental", "bitmap": "bitmap"}
"""What a job sets out to copy at most. `top` copies a part of what `full` does, `none` only before guest writes."""

POLICIES = {"report": "report", "ignore": "ignore", "stop": "stop", "enospc": "stop", "auto": "stop"}

DRAINING = frozenset({
    "transaction", "blockdev-backup", "drive-backup", "job-pause", "job-resume", "job-cancel", "job-finalize",
    "block-job-pause", "block-job-resume", "block-job-cancel", "block-job-finalize",
})  # fmt: skip
"""Commands in the course of which jobs may end."""

PAST = re.compile(r"in state '(?:concluded|aborting|null)'")


def not_whole(name: str, arguments: Any) -> Iterator[str]:
    """The jobs of a command whose targets are no whole backups: sync mode `none` copies what is overwritten only,
    `top` what is above the backing file.
    """
    for action, data in actions_in(name, arguments):
        if data.get("sync") in ("none", "top"):
            yield from starts(action, data)


def starts(name: str, arguments: Any) -> Iterator[str]:
    """The jobs that a command begins."""
    for action, data in actions_in(name, arguments):
        job_id = data.get("job-id", data.get("device"))
        if action in ("blockdev-backup", "drive-backup") and isinstance(job_id, str):
            yield job_id


def to_command(name: str, arguments: Any, places: Places) -> c.Command:
    """The specification's command; or `Untranslatable`."""
    if not isinstance(arguments, dict):
        raise Untranslatable
    if name == "transaction":
        return _transaction(arguments, places)
    if name in JOBS:
        kind, member = JOBS[name]
        return kind(_text(arguments, member))  # type: ignore[no-any-return]
    if name in ACTIONS:
        return ACTIONS[name](arguments, places)  # type: ignore[no-any-return]
    raise Untranslatable


def is_known(name: str) -> bool:
    """Whether the specification knows commands of this name."""
    return name in ACTIONS or name in JOBS or name == "transaction"


def refusal(name: str, arguments: Any, text: str) -> str:
    """The kind of a refusal, "?" for a reason that the specification does not know: a target, say."""
    if name in JOBS and PAST.search(text):
        return "not found"
    if any(f"'{target}'" in text for target in _targets(name, arguments)):
        return "?"
    return kind_of_refusal(text)


def _targets(name: str, arguments: Any) -> list[Any]:
    if not isinstance(arguments, dict):
        return []
    if name == "transaction":
        actions = arguments.get("actions")
        listed = [each for each in actions if isinstance(each, dict)] if isinstance(actions, list) else []
        return [target for each in listed for target in _targets(str(each.get("type")), each.get("data"))]
    return [arguments.get("target")] if name in ("blockdev-backup", "drive-backup") else []


def _text(data: dict[str, Any], member: str, default: str | None = None) -> str:
    value = data.get(member, default)
    if not isinstance(value, str):
        raise Untranslatable
    return value


def _flag(data: dict[str, Any], member: str, default: bool) -> bool:
    value = data.get(member, default)
    if not isinstance(value, bool):
        raise Untranslatable
    return value


def _add(data: dict[str, Any], places: Places) -> c.AddBitmap:
    node = places.with_bitmaps(data.get("node"))
    granularity = data.get("granularity", places.granularity(node))
    if type(granularity) is not int:
        raise Untranslatable
    return c.AddBitmap(node, _text(data, "name"), granularity, not _flag(data, "disabled", False))


def _named(kind: Callable[[str, str], c.Action]) -> Callable[[dict[str, Any], Places], c.Action]:
    return lambda data, places: kind(places.with_bitmaps(data.get("node")), _text(data, "name"))


def _merge(data: dict[str, Any], places: Places) -> c.MergeBitmaps:
    node, listed = places.with_bitmaps(data.get("node")), data.get("bitmaps")
    if not isinstance(listed, list):
        raise Untranslatable
    sources = []
    for each in listed:
        if isinstance(each, str):
            sources.append(c.Source(node, each))
        elif isinstance(each, dict):
            sources.append(c.Source(places.with_bitmaps(each.get("node")), _text(each, "name")))
        else:
            raise Untranslatable
    return c.MergeBitmaps(node, _text(data, "target"), tuple(sources))


def _backup(data: dict[str, Any], places: Places) -> c.StartBackup:
    device, sync = data.get("device"), _text(data, "sync")
    bitmap = None if data.get("bitmap") is None else _text(data, "bitmap")
    mode = None if data.get("bitmap-mode") is None else _text(data, "bitmap-mode")
    if sync not in SYNCS or mode not in (None, "on-success", "never", "always") or (sync == "none" and bitmap):
        raise Untranslatable
    policies: list[Any] = [POLICIES.get(_text(data, f"on-{side}-error", "report")) for side in ("source", "target")]
    if None in policies:
        raise Untranslatable
    kind: Any = SYNCS[sync]
    how: Any = mode
    target = data.get("target")
    cluster = max(CLUSTER, places.clusters.get(target, 0) if isinstance(target, str) else 0)
    return c.StartBackup(
        _text(data, "job-id", device if isinstance(device, str) else None), places.node(device),
        kind, bitmap, how, cluster, _flag(data, "auto-finalize", True), *policies,
    )  # fmt: skip


def _transaction(data: dict[str, Any], places: Places) -> c.Transaction:
    actions, properties = data.get("actions"), data.get("properties", {})
    if not isinstance(actions, list) or not isinstance(properties, dict):
        raise Untranslatable
    listed: list[c.Action] = []
    for each in actions:
        kind, own = (each.get("type"), each.get("data")) if isinstance(each, dict) else (None, None)
        if kind == "abort":
            listed.append(c.Abort())
        elif isinstance(kind, str) and kind in ACTIONS and isinstance(own, dict):
            listed.append(ACTIONS[kind](own, places))
        else:
            raise Untranslatable
    return c.Transaction(tuple(listed), properties.get("completion-mode") == "grouped")


ACTIONS: dict[str, Callable[[dict[str, Any], Places], Any]] = {
    "block-dirty-bitmap-add": _add,
    **{f"block-dirty-bitmap-{verb(kind)}": _named(kind) for kind in ON_BITMAP},
    "block-dirty-bitmap-merge": _merge,
    "blockdev-backup": _backup,
    "drive-backup": _backup,
}

JOBS: dict[str, tuple[Any, str]] = {
    f"{prefix}-{verb(kind)}": (kind, member)
    for prefix, member in (("job", "id"), ("block-job", "device"))
    for kind in ON_JOB
}
# block-job-finalize has an id, like the commands of the job- family (qapi/block-core.json).
JOBS["block-job-finalize"] = (c.FinalizeJob, "id")
