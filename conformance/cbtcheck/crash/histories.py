"""Where histories come from: a list made by hand, and drawn by a seed."""

from __future__ import annotations

import random

from cbtcheck.crash.history import NAMED, Step, parsed

BY_HAND = tuple(map(parsed, (
    "open; add b; write 0; close; open; write 1; close",
    "open; add b; write 0; close; open; write 1; reopen ro; reopen rw; write 2; flush; write 3; kill",
    "open; add b; write 0; close; open; write 1; reopen ro; write 2; flush; write 3; kill",
    "open; add b; add c; write 0; close; open; remove b; write 1; write 2; write 3; write 4; kill",
    "open; add b; write 0; close; open; write 1; kill; open; write 2; remove b; add b; write 3; close",
    "open; add b; add c disabled; write 0; close; open; remove b; write 1; close",
    "open; add b; write 0; reopen ro; reopen rw; write 1; close; open ro; close; open; write 2; kill",
    "open; add b; write 0; close; open; abort-remove b; write 1; close; open; transaction-remove b; write 2; close",
    "open; add b; add c x4; write 0; close; open; clear b; disable c; write 1; enable c; write 2; merge c b; close; "
    "open; write 3; close",
    "open; add b; write 0; flush; write 1; backup b; write 2; close; open; write 3; quit",
    "open; add b; write 0; write 6; zero 0; flush; close; open; zero 1; write 7; quit; open ro; quit",
    "open; add b; write 0+2; close; open; write 2; kill; open; write 3; close; open; remove b; write 4; close",
)))  # fmt: skip

BY_HAND_OFFLINE = tuple(map(parsed, (
    "offline add b; open; write 0; close; offline add c; offline merge b c; offline clear b; offline disable c; "
    "open; write 1; close; offline remove b; offline enable c; open; write 2; close",
    "open; add b; write 0; close; open; write 1; kill; offline clear b; offline remove b; offline add b; open; "
    "write 2; close; offline check",
)))  # fmt: skip
"""Those that need `qemu-img`."""

NAMES = ("b", "c", "d")
RUNNING = (
    "write", "write", "write", "write", "zero", "flush", "add", "remove", "clear", "enable", "disable", "merge",
    "abort-remove", "transaction-remove", "backup", "close", "close", "quit", "kill", "reopen",
)  # fmt: skip
AT_REST = ("open", "open", "open", "open ro", "offline")


def drawn(seed: int, offline: bool) -> tuple[Step, ...]:
    """A history of this seed, the same on every machine; with `offline` it may have steps that need `qemu-img`."""
    chance = random.Random(seed)
    steps = [Step("open"), Step("add", "b"), Step("write", first=chance.randrange(8))]
    state = "rw"
    for _ in range(chance.randint(3, 12)):
        if state == "closed":
            step = _at_rest(chance, offline)
        elif state == "ro":
            step = chance.choice((Step("close"), Step("reopen"), Step("quit"), Step("reopen"), Step("kill")))
        else:
            step = _running(chance)
        steps.append(step)
        if step.verb in ("open", "reopen"):
            state = "ro" if step.read_only else "rw"
        elif step.verb in ("close", "quit", "kill"):
            state = "closed"
    if state != "closed":
        steps.append(Step(chance.choice(("close", "kill", "quit"))))
    return tuple(steps)


def _at_rest(chance: random.Random, offline: bool) -> Step:
    verb = chance.choice(AT_REST)
    if verb != "offline" or not offline:
        return Step("open", read_only=verb == "open ro")
    action = chance.choice(("add", "remove", "clear", "enable", "disable", "merge"))
    name = chance.choice(NAMES)
    enabled = action != "add" or chance.random() < 0.8
    return Step("offline", name, action, source="b" if action == "merge" else "", enabled=enabled)


def _running(chance: random.Random) -> Step:
    verb, name = chance.choice(RUNNING), chance.choice(NAMES)
    if verb in ("write", "zero"):
        return Step(verb, first=chance.randrange(8), count=chance.choice((1, 1, 1, 2)))
    if verb == "reopen":
        return Step(verb, read_only=chance.random() < 0.8)
    if verb == "add":
        return Step(verb, name, scale=chance.choice((1, 1, 4)), enabled=chance.random() < 0.8)
    if verb == "merge":
        return Step(verb, name, source="b")
    return Step(verb, name if verb in NAMED else "")
