"""Makes a failing scenario shorter and plainer, by rules that know what a scenario is.

Hypothesis shrinks picks, not commands: a command that no longer makes sense drags others with it. Here, of a long
scenario, everything about an object is dropped at once; then whole commands are dropped, halves of them first, then
actions of transactions, then every field is replaced by plainer values, until nothing more can go.
A change is kept if the scenario still ends with the same verdict. No randomness: the same scenario gives the same
result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, assert_never

from cbtmodel import commands as c
from cbtmodel.image import Event, Persist

from cbtcheck.adapter import Capabilities
from cbtcheck.follow.play import Player, verdict_of
from cbtcheck.scenario.scenario import Restore, Scenario, Step
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.fewer import LONG, fewer

Fails = Callable[[Scenario], Verdict | None]

REPLAYS = 3000
"""How many scenarios are played at most for one result."""

COMMANDS = 40_000
WHOLE_PLAYS = 30
"""How many commands are played at most for one result; of a very long scenario, as many as it takes to play it so
often. A real QEMU plays some hundreds in a second."""


def fails_on(player: Player) -> Fails:
    """Whether a scenario disagrees on this player's adapter, and how; None if it does not."""

    def fails(scenario: Scenario) -> Verdict | None:
        findings = player.play_scenario(scenario)
        return verdict_of(findings) if findings else None

    return fails


def shorten(
    scenario: Scenario, fails: Fails, capabilities: Capabilities | None = None, replays: int = REPLAYS
) -> Scenario:
    """The shortest and plainest scenario that these rules lead to, with the verdict of `scenario`.

    `capabilities` say which sizes and layouts are plainest. A scenario that does not fail comes back as it is.
    """
    commands = max(COMMANDS, WHOLE_PLAYS * len(scenario.commands))
    return _Search(fails, capabilities, replays, commands).run(scenario)


@dataclass
class _Search:
    fails: Fails
    capabilities: Capabilities | None
    replays: int
    commands: int
    verdict: Verdict | None = None

    def run(self, scenario: Scenario) -> Scenario:
        self.verdict = self.fails(scenario)
        if self.verdict is None:
            return scenario
        before = None
        while before != scenario:
            before = scenario
            if len(scenario.commands) >= LONG:
                scenario = fewer(scenario, self.same)
            scenario = self.without_commands(scenario)
            scenario = self.without_actions(scenario)
            scenario = self.in_plainer_words(scenario)
        return scenario

    def same(self, candidate: Scenario) -> bool:
        """Whether the candidate still fails in the same way, if there are replays left."""
        if self.replays <= 0 or self.commands <= 0:
            return False
        self.replays -= 1
        self.commands -= len(candidate.commands)
        return self.fails(candidate) is self.verdict

    # Fewer commands

    def without_commands(self, scenario: Scenario) -> Scenario:
        """Drops runs of commands, half of them first, one by one in the end; late ones first."""
        size = max(1, len(scenario.commands) // 2)
        while True:
            dropped = False
            start = len(scenario.commands) - size
            while start >= 0:
                kept = scenario.commands[:start] + scenario.commands[start + size :]
                candidate = replace(scenario, commands=kept)
                if self.same(candidate):
                    scenario, dropped = candidate, True
                start -= size if size > 1 else 1
            if size == 1 and not dropped:
                return self.without_pairs(scenario)
            size = max(1, size // 2)

    def without_pairs(self, scenario: Scenario) -> Scenario:
        """Drops two commands that only make sense together, such as the begin and the end of something.

        There are too many pairs in a long scenario.
        """
        if len(scenario.commands) > LONG:
            return scenario
        for late in range(len(scenario.commands) - 1, 0, -1):
            for early in range(late):
                kept = tuple(each for i, each in enumerate(scenario.commands) if i not in (early, late))
                candidate = replace(scenario, commands=kept)
                if self.same(candidate):
                    return self.without_commands(candidate)
        return scenario

    def without_actions(self, scenario: Scenario) -> Scenario:
        """Drops actions of transactions, and transactions around a single action."""
        for index in range(len(scenario.commands) - 1, -1, -1):
            scenario = self.first_that_fails(scenario, index, _fewer_actions)
        return scenario

    # Plainer words

    def in_plainer_words(self, scenario: Scenario) -> Scenario:
        """Replaces disks, commands, fields and names by plainer ones."""
        for candidate in self.plainer_disks(scenario):
            if self.same(candidate):
                scenario = candidate
                break
        for index in range(len(scenario.commands)):
            scenario = self.first_that_fails(scenario, index, self.plainer)
        return self.with_plainer_names(scenario)

    def first_that_fails(self, scenario: Scenario, index: int, variants: Callable[[Any], Iterable[Any]]) -> Scenario:
        """Puts in place of a command the first of its variants that still fails, as long as there is one."""
        changed = True
        while changed:
            changed = False
            for variant in variants(scenario.commands[index]):
                commands = (*scenario.commands[:index], variant, *scenario.commands[index + 1 :])
                candidate = replace(scenario, commands=commands)
                if self.same(candidate):
                    scenario, changed = candidate, True
                    break
        return scenario

    def plainer_disks(self, scenario: Scenario) -> Iterator[Scenario]:
        """Plainer layouts than this one, plainest first; and the same disks without those that no command names."""
        layouts = () if self.capabilities is None else self.capabilities.disks
        for layout in layouts:
            if layout == scenario.disks:
                return
            if len(layout) == 1:
                moved = {name: next(iter(layout)) for name in scenario.disks}
                commands = tuple(_renamed(each, {"node": moved}) for each in scenario.commands)
                yield replace(scenario, disks=layout, commands=commands)
            yield replace(scenario, disks=layout)
        for name in scenario.disks:
            if len(scenario.disks) > 1:
                yield replace(scenario, disks={n: size for n, size in scenario.disks.items() if n != name})

    def plainer(self, command: Any) -> Iterator[Any]:
        """The same command with one field plainer, plainest first."""
        if isinstance(command, Persist):
            yield from (replace(command, add=plain) for plain in self.plainer(command.add))
            return
        if isinstance(command, c.Write) and command.result == "ignored":
            yield replace(command, result="ok")
        if isinstance(command, c.BeginCopy):
            yield c.Copy(command.job, command.offset, command.length)
        if isinstance(command, c.BeginWrite):
            yield c.Write(command.node, command.offset, command.length, command.kind, command.result)
        if isinstance(command, c.Transaction):
            if command.grouped:
                yield replace(command, grouped=False)
            for i, action in enumerate(command.actions):
                for plain in self.plainer(action):
                    yield replace(command, actions=(*command.actions[:i], plain, *command.actions[i + 1 :]))
        if isinstance(command, c.StartBackup) and command.bitmap is not None:
            yield replace(command, sync="full", bitmap=None, bitmap_mode=None)
            yield from _unless_plainer(command, "sync, mode", (("incremental", None),))
        for field in dataclasses.fields(command):
            yield from _unless_plainer(command, field.name, self.plain_values(command, field.name))

    def plain_values(self, command: Any, field: str) -> tuple[Any, ...]:
        """The plain values of a field, plainest first."""
        now = getattr(command, field)
        table: dict[str, tuple[Any, ...]] = {
            "enabled": (True,), "auto_finalize": (True,), "on_source_error": ("report",),
            "on_target_error": ("report",), "kind": ("write",), "result": ("ok",),
            "granularity": () if self.capabilities is None else self.capabilities.granularities,
            "cluster": () if self.capabilities is None else self.capabilities.clusters,
        }  # fmt: skip
        if field in ("offset", "length") and type(now) is int:
            nice = (0, *(now // unit * unit for unit in (65536, 4096, 512)))
            small = (1, 512, 4096, 65536) if field == "length" else nice
            return tuple(value for value in small if value < now)
        if field == "sources" and isinstance(now, tuple):
            return tuple(now[:i] + now[i + 1 :] for i in range(len(now)))
        return table.get(field, ())

    # Names

    def with_plainer_names(self, scenario: Scenario) -> Scenario:
        """Calls bitmaps b0, b1, …, jobs j0, j1, … and writes w0, w1, … in the order in which they appear."""
        names: dict[str, dict[str, str]] = {"b": {}, "j": {}, "w": {}}
        for command in _all_commands(scenario.commands):
            for kind, name in _names_made(command):
                names[kind].setdefault(name, f"{kind}{len(names[kind])}")
        renamed = replace(scenario, commands=tuple(_renamed(each, names) for each in scenario.commands))
        return renamed if renamed != scenario and self.same(renamed) else scenario


def _unless_plainer(command: Any, field: str, values: tuple[Any, ...]) -> Iterator[Any]:
    """The command with each of the values that are plainer than the one it has."""
    if field == "sync, mode":
        if (command.sync, command.bitmap_mode) not in values:
            yield replace(command, sync=values[0][0], bitmap_mode=values[0][1])
        return
    now = getattr(command, field)
    for value in values:
        if value == now and type(value) is type(now):
            return
        yield replace(command, **{field: value})


def _fewer_actions(command: Any) -> Iterator[Any]:
    """A transaction with one action fewer or plainer; what is left of one that has a single action."""
    if not isinstance(command, c.Transaction):
        return
    if len(command.actions) == 1 and not isinstance(command.actions[0], c.Abort):
        yield command.actions[0]
    for i in range(len(command.actions) - 1, -1, -1):
        yield replace(command, actions=command.actions[:i] + command.actions[i + 1 :])
    if command.actions and not any(isinstance(each, c.Abort) for each in command.actions):
        yield replace(command, actions=(*command.actions[:-1], c.Abort()))


def _all_commands(commands: Iterable[Any]) -> Iterator[Any]:
    for command in commands:
        if isinstance(command, c.Transaction):
            yield from command.actions
        else:
            yield command.add if isinstance(command, Persist) else command


def _names_made(command: Step | c.Action) -> Iterator[tuple[str, str]]:
    if isinstance(command, c.Plain | c.OfJob | Event):
        return
    match command:
        case c.AddBitmap(_, name):
            yield "b", name
        case c.StartBackup(job=job_id):
            yield "j", job_id
        case c.BeginWrite(_, job_id):
            yield "w", job_id
        case c.MergeBitmaps() | c.Transaction() | c.Abort() | c.Write() | c.EndWrite() | Restore():
            return
        case _:
            assert_never(command)


def _renamed(command: Any, names: dict[str, dict[str, str]]) -> Step:
    """The command with names replaced. A name that nothing made stays as it is."""
    if isinstance(command, Persist):
        return replace(command, add=_renamed(command.add, names))  # type: ignore[arg-type]
    kinds = {"name": "b", "bitmap": "b", "target": "b", "job": "j", "write": "w", "node": "node"}
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(command):
        value = getattr(command, field.name)
        if isinstance(value, tuple) and not isinstance(command, Restore):
            changes[field.name] = tuple(_renamed(each, names) for each in value)
        elif isinstance(command, Restore):
            changes[field.name] = tuple(names.get("j", {}).get(each, each) for each in value)
        elif field.name in kinds and isinstance(value, str):
            changes[field.name] = names.get(kinds[field.name], {}).get(value, value)
    renamed: Step = replace(command, **changes)
    return renamed
