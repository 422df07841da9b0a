"""All hostile adapters by name: that of the class, with hyphens."""

from __future__ import annotations

import re
from types import ModuleType

import lies
import lines
import processes
import timing
from tracker import Adapter

MODULES: tuple[ModuleType, ...] = (timing, lines, processes, lies)
BASES = ("Spoiled",)


def named(kind: type) -> str:
    """The name of a class in the manner of a command line: `NeverAnswers` is `never-answers`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


HOSTILE: dict[str, type[Adapter]] = {
    named(each): each
    for module in MODULES
    for each in vars(module).values()
    if isinstance(each, type) and each.__module__ == module.__name__ and issubclass(each, Adapter)
    and each.__name__ not in BASES
}  # fmt: skip
