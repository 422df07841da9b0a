"""The specification's commands as msgspec types: a struct for each, made from its fields and their types.

So whoever reads JSON lines decodes them strictly and quickly, and need not write the commands down once more. What
happens to images is made likewise.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from cbtmodel import commands as c
from cbtmodel.image import Persist
from msgspec import Meta, Struct

from cbtcheck.scenario.images import EVENTS, NOT_TOLD, Played
from cbtcheck.scenario.scenario import spelled

Members = Sequence[tuple[str, Any, Any]]
"""More members of a line: name, type and default."""


class CommandTypes:
    """The types of commands (`commands`) and of actions of transactions (`actions`), each with what it stands for.

    A command's line has the members `more` besides; an action has not. `source` is the type of a bitmap to merge
    from: a struct with `node` and `name`. No list has more than `most` entries. `module` is where the types are made.
    With `images` there are the events of images, too (`events`), and what is added may be `persistent`.
    """

    def __init__(
        self, module: str, more: Members, source: type[Struct], most: int | None = None, but: Sequence[type] = (),
        images: bool = False,
    ) -> None:  # fmt: skip
        self._module, self._source, self._most = module, source, most
        self.actions = {self._struct(each, None, None): each for each in c.Action.__args__}
        action = typing.Union[tuple(self.actions)]  # type: ignore[valid-type]  # noqa: UP007
        stored: Members = (("persistent", bool, False),) if images else ()
        self.commands = {
            self._struct(each, action, (*(stored if each is c.AddBitmap else ()), *more)): each
            for each in c.Command.__args__ if each not in but
        }  # fmt: skip
        self.events = {self._struct(each, None, more): each for each in EVENTS.values() if images}

    def _struct(self, command: type, action: Any, more: Members | None) -> type[Struct]:
        hints = typing.get_type_hints(command, include_extras=True)
        members: list[tuple[Any, ...]] = []
        for field in told(command):
            given = (field.name, self._type_of(hints[field.name], action))
            members.append(given if field.default is dataclasses.MISSING else (*given, field.default))
        made = msgspec.defstruct(
            ("Action" if more is None else "Do") + command.__name__, [*members, *(more or ())],
            tag_field="do", tag=spelled(command.__name__), forbid_unknown_fields=True, module=self._module,
        )  # fmt: skip
        made.__doc__ = command.__doc__
        return made

    def _type_of(self, hint: Any, action: Any) -> Any:
        origin = typing.get_origin(hint)
        if origin is Annotated:
            return int  # whatever its range: `step` refuses what is beyond
        if origin is tuple:
            several: Any = list[self._source] if typing.get_args(hint)[0] is c.Source else list[action]  # type: ignore[name-defined]
            return several if self._most is None else Annotated[several, Meta(max_length=self._most)]
        return hint

    def to_command(self, line: Struct) -> c.Command:
        """The specification's command of a line that is no event."""
        return self._made(line, self.commands[type(line)])  # type: ignore[no-any-return]

    def to_step(self, line: Struct) -> Played:
        """The command or event of a line."""
        if type(line) in self.events:
            return self._made(line, self.events[type(line)])  # type: ignore[no-any-return]
        command = self.to_command(line)
        return Persist(command) if isinstance(command, c.AddBitmap) and line.persistent else command  # type: ignore[attr-defined]

    def _made(self, line: Struct, kind: type) -> Any:
        return kind(**{field.name: self._value(getattr(line, field.name)) for field in told(kind)})

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(self._value(each) for each in value)
        if isinstance(value, self._source):
            return c.Source(value.node, value.name)  # type: ignore[attr-defined]
        return self._made(value, self.actions[type(value)]) if type(value) in self.actions else value


def told(kind: type) -> list[dataclasses.Field[Any]]:
    """The fields of a command or an event that a line may have."""
    return [each for each in dataclasses.fields(kind) if each.name not in NOT_TOLD]
