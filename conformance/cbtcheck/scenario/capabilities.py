"""What an implementation claims to be able to do, in words; what it does not claim is not asked for.

A *capability* is the name of a command of the specification, or a *feature*: something that only some commands of a
name need. A *profile* is a word for several of them (docs/use/adapter-protocol.md has the same tables).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, assert_never

from cbtmodel import commands as c
from cbtmodel.bitmap import Bitmap
from cbtmodel.image import Event, Persist
from cbtmodel.node import Node, State, initial, usable_granularity
from cbtmodel.step import step

from cbtcheck.adapter import FEATURES, LONGEST_NAME, PERSISTENCE, Capabilities
from cbtcheck.scenario.images import Played, fresh, step_with
from cbtcheck.scenario.scenario import KINDS, Restore, Scenario, later_members, spelled
from cbtcheck.sets.bitsets import Bits, BitSets

COMMANDS = frozenset(KINDS) - {"abort", "restore"}

JOB_CONTROL = frozenset(name for name, kind in KINDS.items() if issubclass(kind, c.OfJob))
"""The suite's own affair if the suite makes the copies; then it is always there, and so are these features:"""

WITH_JOB_CONTROL = frozenset({"manual-finalize", "failed-copy", "error-policies"})

PROFILES: dict[str, tuple[str, ...]] = {
    "core": ("add-bitmap", "write", "start-backup", "copy", "cancel-job"),
    "bitmaps": ("remove-bitmap", "clear-bitmap", "enable-bitmap", "disable-bitmap", "merge-bitmaps", "disabled",
                "zeroes", "discard"),
    "jobs": ("begin-copy", "end-copy", "pause-job", "resume-job", "finalize-job", "manual-finalize", "never",
             "always", "failed-copy", "error-policies"),
    "in-flight": ("begin-write", "end-write", "failed-write", "ignored-discard"),
    "transactions": ("transaction", "grouped"),
}  # fmt: skip
PROFILES["full"] = (*(word for words in PROFILES.values() for word in words), "refusals", "content")

"""As they were promised to adapters that are there already: a command that comes later is claimed by its own name."""

WORDS = frozenset(PROFILES) | COMMANDS | FEATURES
"""Every word that a list of capabilities may have."""


FEW = 1 << 8
"""So many granules or clusters nobody has too many of; they are not counted."""


def expanded(words: Iterable[str]) -> frozenset[str]:
    """Names of commands and features, with the profiles taken apart. Raises `LookupError` for an unknown word."""
    found: set[str] = set()
    for word in words:
        if word not in WORDS:
            raise LookupError(f"unknown capability '{word}' (known: {', '.join(sorted(WORDS))})")
        found |= set(PROFILES.get(word, (word,)))
    return frozenset(found)


def needs(command: Played | c.Action) -> Iterator[str]:
    """The capabilities that a command takes, and for a transaction those of its actions."""
    if isinstance(command, Event):
        yield PERSISTENCE
        if isinstance(command, Persist):
            yield from needs(command.add)
        return
    kind: type = type(command)
    name = spelled(kind.__name__)
    if name in COMMANDS:
        yield name
    for member, word in later_members(kind).items():
        if getattr(command, member) != _default(kind, member):
            yield word
    if isinstance(command, c.Plain):
        return
    match command:
        case c.Transaction(actions, grouped):
            if grouped:
                yield "grouped"
            for action in actions:
                yield from needs(action)
        case c.AddBitmap():
            if not command.enabled:
                yield "disabled"
        case c.StartBackup():
            yield from _needs_of_backup(command)
        case c.Write() | c.BeginWrite():
            if command.kind in ("zeroes", "discard"):
                yield command.kind
            if command.result != "ok":
                yield {"failed": "failed-write", "copy failed": "failed-copy"}.get(command.result, "ignored-discard")
        case c.EndWrite():
            if command.result == "failed":
                yield "failed-write"
        case c.Copy() | c.EndCopy():
            if command.result != "ok":
                yield "failed-copy"
        case c.MergeBitmaps() | c.BeginCopy() | c.Abort():
            return
        case _:
            assert_never(command)


def _default(kind: type, member: str) -> object:
    return next(each.default for each in dataclasses.fields(kind) if each.name == member)


def _needs_of_backup(command: c.StartBackup) -> Iterator[str]:
    if command.bitmap_mode in ("never", "always"):
        yield command.bitmap_mode
    if not command.auto_finalize:
        yield "manual-finalize"
    if (command.on_source_error, command.on_target_error) != ("report", "report"):
        yield "error-policies"


def not_claimed(command: Played, capabilities: Capabilities) -> str:
    """The first capability that a command takes and an implementation does not claim, whatever the state; or ""."""
    commands, features = capabilities.commands, capabilities.features
    return next((each for each in needs(command) if each not in commands and each not in features), "")


def wrong_size(command: object, capabilities: Capabilities) -> str:
    """A granularity or a cluster that means something, and that an implementation does not claim; or ""."""
    for each in (command, *(command.actions if isinstance(command, c.Transaction) else ())):
        if isinstance(each, c.AddBitmap) and _out_of_range(each.granularity, capabilities):
            return f"a granularity of {each.granularity}"
        if isinstance(each, c.StartBackup) and _no_such_cluster(each.cluster, capabilities):
            return f"clusters of {each.cluster}"
    return ""


def _out_of_range(granularity: int, capabilities: Capabilities) -> bool:
    low, high = capabilities.smallest_granularity, capabilities.largest_granularity
    return usable_granularity(granularity) and not low <= granularity <= high


def _no_such_cluster(cluster: int, capabilities: Capabilities) -> bool:
    return not capabilities.any_cluster and usable_granularity(cluster) and cluster not in capabilities.clusters


def _leaves_a_tail(state: State[Any], command: object) -> bool:
    """Whether the disk ends within a granule or a cluster of what the command makes."""
    if not isinstance(command, c.AddBitmap | c.StartBackup) or command.node not in state.nodes:
        return False
    unit = command.granularity if isinstance(command, c.AddBitmap) else command.cluster
    return usable_granularity(unit) and state.nodes[command.node].size % unit != 0


def _many(state: State[Any], command: object, capabilities: Capabilities) -> str:
    """The granules of a new bitmap, the clusters of a job, or what a command marks, if they are too many; or ""."""
    node = state.nodes.get(getattr(command, "node", ""))
    if node is None:
        return ""
    if isinstance(command, c.AddBitmap) and usable_granularity(command.granularity):
        many = -(-node.size // command.granularity)
        return f"{many} granules of {command.granularity}" if many > capabilities.most_granules else ""
    if isinstance(command, c.StartBackup) and not capabilities.suite_copies:
        return _many_clusters(node, state.space, command, capabilities)
    if isinstance(command, c.Write | c.BeginWrite):
        if command.length > capabilities.longest_write:
            return f"a write of {command.length} bytes"
        units = [each.granularity for each in node.bitmaps.values()]
        many = -(-command.length // min(units)) if units else 0
        return f"a write to {many} granules" if many > capabilities.most_marked else ""
    if isinstance(command, c.MergeBitmaps) and command.target in node.bitmaps:
        unit = node.bitmaps[command.target].granularity
        sources = [each for each in command.sources if each.node in state.nodes]
        many = max((_marked(state, each.node, each.name, unit) for each in sources), default=0)
        return f"a merge of {many} granules" if many > capabilities.most_marked else ""
    return ""


def _many_clusters(node: Node[Any], space: Any, command: c.StartBackup, capabilities: Capabilities) -> str:
    if not usable_granularity(command.cluster):
        return ""
    many = -(-node.size // command.cluster)
    if many > capabilities.most_clusters:
        return f"{many} clusters of {command.cluster}"
    if command.sync != "full" and command.bitmap is not None and command.bitmap in node.bitmaps:
        bitmap = node.bitmaps[command.bitmap]
        many = _spread(space, node.size, bitmap, command.cluster, many)
    most = min(capabilities.most_marked, capabilities.most_copied)
    return f"a backup of {many} clusters" if many > most else ""


def _marked(state: State[Any], node_name: str, name: str, unit: int) -> int:
    """How many granules of `unit` bytes a merge from a bitmap marks, at most."""
    node = state.nodes[node_name]
    if name not in node.bitmaps:
        return 0
    return _spread(state.space, node.size, node.bitmaps[name], unit, -(-node.size // unit))


def _spread(space: Any, size: int, bitmap: Bitmap[Any], unit: int, most: int) -> int:
    """How many units the dirty granules of a bitmap touch, at most."""
    granule = bitmap.granularity
    if most * min(unit, granule) <= unit:  # one granule, whatever is dirty
        return 1
    if most <= FEW:
        return most
    return int(min(most, space.counted(bitmap.marks.dirty, granule, size) * max(1, granule // unit)))


def names_in(command: object) -> Iterator[str]:
    """Every name in a command: of disks, bitmaps, jobs and writes; also in what a transaction or a merge lists."""
    for field in ("node", "name", "target", "job", "write", "bitmap"):
        name = getattr(command, field, None)
        if isinstance(name, str):
            yield name
    for each in (*getattr(command, "actions", ()), *getattr(command, "sources", ())):
        yield from names_in(each)


def wrong_name(command: object, capabilities: Capabilities) -> str:
    """A name that means something, and that an implementation does not claim; or ""."""
    if capabilities.longest_name >= LONGEST_NAME and not capabilities.ascii_names:
        return ""
    for name in names_in(command):
        length = len(name.encode(errors="surrogatepass"))
        if capabilities.longest_name < length <= LONGEST_NAME:
            return f"a name of {length} bytes"
        if capabilities.ascii_names and not name.isascii():
            return "a name that is not ASCII"
    return ""


def missing(state: State[Any], asked: Played, capabilities: Capabilities) -> str:
    """What an implementation does not claim that a command takes in this state; or "".

    That may also be a size, a job too many, or that the command is one to be refused as invalid.
    """
    if isinstance(asked, Event) and not isinstance(asked, Persist):
        return not_claimed(asked, capabilities)
    command = asked.add if isinstance(asked, Persist) else asked
    found = (
        not_claimed(command, capabilities) or wrong_size(command, capabilities) or wrong_name(command, capabilities)
    )
    if found:
        return found
    actions = command.actions if isinstance(command, c.Transaction) else ()
    starts = sum(isinstance(each, c.StartBackup) for each in (command, *actions))
    if starts and len(state.jobs) + starts > capabilities.max_jobs:
        return f"{len(state.jobs) + starts} jobs"
    if isinstance(command, c.BeginWrite) and command.node in state.nodes:
        flying = len(state.nodes[command.node].writes) + 1
        if flying > capabilities.max_writes:
            return f"{flying} writes in flight"
    many = next((found for each in (command, *actions) if (found := _many(state, each, capabilities))), "")
    if many:
        return many
    if not capabilities.tails and any(_leaves_a_tail(state, each) for each in (command, *actions)):
        return "tails"
    if "refusals" in capabilities.features:
        return ""
    refusal = step(state, command).refusal
    return "refusals" if refusal is not None and refusal.kind == "invalid" else ""


def broken_sector(scenario: Scenario, capabilities: Capabilities) -> str:
    """A disk of the scenario that ends within one of the implementation's sectors; or ""."""
    found = (size for size in scenario.disks.values() if size % capabilities.sector)
    return next((f"a disk of {size} bytes, in sectors of {capabilities.sector}" for size in found), "")


def missing_for(scenario: Scenario, capabilities: Capabilities) -> str:
    """The first thing that a whole scenario takes and an implementation does not claim; or ""."""
    return followed(scenario, capabilities)[0]


def followed(scenario: Scenario, capabilities: Capabilities) -> tuple[str, State[Bits]]:
    """What `missing_for` says, and the specification's state then: that after the scenario if all is claimed."""
    state = initial(BitSets(scenario.block), scenario.disks)
    if len(scenario.disks) > capabilities.max_disks:
        return f"{len(scenario.disks)} disks", state
    if (largest := max(scenario.disks.values())) > capabilities.largest_disk:
        return f"a disk of {largest} bytes", state
    if broken := broken_sector(scenario, capabilities):
        return broken, state
    if scenario.images and PERSISTENCE not in capabilities.features:
        return PERSISTENCE, state
    files = fresh(scenario.disks) if scenario.images else None
    for command in scenario.commands:
        if isinstance(command, Restore):
            continue
        found = missing(state, command, capabilities)
        if found:
            return found, state
        if files is not None:
            result, files = step_with(files, state, command)
            state = result.state
        else:
            state = step(state, command).state
    return "", state
