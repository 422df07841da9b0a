"""True histories of one disk, told with intervals that contain the truth; and what is told of them otherwise."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from random import Random
from typing import Any

from cbtcheck.scenario.scenario import command_to_data
from cbtcheck.scenario.verdict import Finding
from cbtcheck.trace.lines import lines
from cbtcheck.trace.own import OwnReader, read_head, verifier_for
from cbtmodel import commands as c
from cbtmodel.bitmap import busy, recording
from cbtmodel.blocks import Frozensets
from cbtmodel.node import State, initial
from cbtmodel.step import step

SIZE = 8 * 512
NAMES = ("a", "b")
SETS = Frozensets(512)
STATE = State[frozenset[int]]


@dataclass
class Op:
    """Something with a true time, or for a write two, within an interval that the trace tells."""

    command: Any
    true: tuple[int, int]
    begin: int
    end: int
    point: bool
    reply: str = "accepted"
    ended: dict[str, str] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    def line(self) -> dict[str, Any]:
        when = {"at": self.begin} if self.point else {"begin": self.begin, "end": self.end}
        if self.command is None:
            return {"see": "bitmaps", "node": "d", "all": True, "bitmaps": self.seen, **when}
        if isinstance(self.command, str):
            return {"ended": self.ended, **when}
        data = command_to_data(self.command) | when
        if self.reply != "accepted":
            data["reply"] = self.reply
        return data | ({"ended": self.ended} if self.ended else {})


def drawn_command(random: Random, copies: bool) -> Any:
    name = random.choice(NAMES)
    kinds = ["add", "clear", "enable", "disable", "merge", "remove", "start", "start", "transaction", "cancel"]
    kinds += ["copy", "copy", "fail"] if copies else ["pause", "resume"]
    match random.choice(kinds):
        case "add":
            return c.AddBitmap("d", name, random.choice((512, 1024)), random.random() < 0.8)
        case "clear":
            return c.ClearBitmap("d", name)
        case "enable":
            return c.EnableBitmap("d", name)
        case "disable":
            return c.DisableBitmap("d", name)
        case "merge":
            return c.MergeBitmaps("d", name, (c.Source("d", random.choice(NAMES)),))
        case "remove":
            return c.RemoveBitmap("d", name)
        case "start":
            mode = random.choice(("on-success", "never", "always", "always"))
            return c.StartBackup("j", "d", "bitmap", name, mode, random.choice((512, 1024)))
        case "transaction":
            return c.Transaction((c.ClearBitmap("d", "a"), c.DisableBitmap("d", "b")))
        case "cancel":
            return c.CancelJob("j")
        case "copy":
            return c.Copy("j", 512 * random.randrange(8), random.choice((1, 2048)))
        case "fail":
            return c.Copy("j", 512 * random.randrange(8), 4096, "write error")
        case "pause":
            return c.PauseJob("j")
    return c.ResumeJob("j")


def history(random: Random, ops: int, copies: bool, slack: tuple[int, ...] = (0, 5, 15, 25)) -> list[Op]:
    """A true history, told with intervals that contain the truth."""
    drawn: list[Op] = []
    for name in NAMES:
        t = 10 * len(drawn)
        drawn.append(Op(c.AddBitmap("d", name, random.choice((512, 1024))), (t, t), t, t, True))
    base = 10 * len(drawn)
    times = [base + 10 * each for each in range(2 * ops)]
    random.shuffle(times)
    for _ in range(ops):
        t1 = times.pop()
        t2 = t1
        command: Any
        kind = random.random()
        if kind < 0.5:
            command = c.Write("d", 512 * random.randrange(7), random.choice((1, 1, 513)))
            if random.random() < 0.5:
                t1, t2 = sorted((t1, times.pop()))
        elif kind < 0.65:
            command = None
        else:
            command = drawn_command(random, copies)
        most = random.choice(slack)
        point = t1 == t2 and random.random() < 0.4
        begin, end = (t1, t1) if point else (t1 - random.randint(0, most), t2 + random.randint(0, most))
        drawn.append(Op(command, (t1, t2), begin, end, point))
    return played(drawn, random, copies, base + 20 * ops + 100)


def played(drawn: list[Op], random: Random, copies: bool, last: int) -> list[Op]:
    """Plays the truth: replies, ends and what is seen are filled in."""
    moments: list[tuple[int, int, Op | None]] = []
    for op in drawn:
        moments.append((op.true[0], 0, op))
        if op.true[1] > op.true[0]:
            moments.append((op.true[1], 1, op))
    if not copies:
        moments += [(10 * random.randrange(2, last // 10) + 5, 2, None) for _ in range(2)]
    state: STATE = initial(SETS, {"d": SIZE})
    happened: list[Op] = []
    for t, half, op in sorted(moments, key=lambda each: each[:2]):
        ended: dict[str, str] = {}
        if op is None:  # a copy that nobody tells of
            result = random.choice(("ok", "ok", "write error"))
            done = step(state, c.Copy("j", 0, random.choice((1, 1024, SIZE)), result))  # type: ignore[arg-type]
            state = done.state
        elif op.command is None:
            op.seen = look(state)
            happened.append(op)
            continue
        elif isinstance(op.command, c.Write) and op.true[1] > op.true[0]:
            write = f"w{op.true[0]}"
            if half == 0:
                done = step(state, c.BeginWrite("d", write, op.command.offset, op.command.length))
                happened.append(op)
            else:
                done = step(state, c.EndWrite("d", write))
            state = done.state
        else:
            done = step(state, op.command)
            state = done.state
            op.reply = "accepted" if done.refusal is None else done.refusal.kind
            happened.append(op)
        ended = {end.job_id: end.outcome for end in done.ended}
        if ended and op is not None and (copies or not isinstance(op.command, c.Write)):
            op.ended = ended
        elif ended:
            happened.append(Op("ended", (t, t), t, t, True, ended=ended))
    end = Op(None, (last, last), last, last, True, seen=look(state))
    return sorted([*happened, end], key=lambda op: op.begin)


def look(state: STATE) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, bitmap in state.nodes["d"].bitmaps.items():
        g = bitmap.granularity
        granules = sorted({512 * block // g for block in bitmap.marks.dirty})
        found[name] = {"granularity": g, "recording": recording(bitmap), "busy": busy(bitmap),
                       "dirty": [[each * g, g] for each in granules]}  # fmt: skip
    return found


def changed(random: Random, seen: dict[str, Any]) -> dict[str, Any] | None:
    """The same, but a granule more or less in one bitmap."""
    if not seen:
        return None
    name = random.choice(sorted(seen))
    g = seen[name]["granularity"]
    flip = [random.randrange(SIZE // g) * g, g]
    dirty = [each for each in seen[name]["dirty"] if each != flip]
    if len(dirty) == len(seen[name]["dirty"]):
        dirty.append(flip)
    return seen | {name: seen[name] | {"dirty": sorted(dirty)}}


def verify(text: bytes) -> list[tuple[int, Finding]]:
    found: list[tuple[int, Finding]] = []
    listed = lines(io.BytesIO(text))
    head = read_head(*next(listed))
    OwnReader(head, verifier_for(head, lambda line, each: found.append((line, each)))).read(listed)
    return found
