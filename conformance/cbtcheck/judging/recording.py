"""The conversation as `cbtspec verify` reads it: messages as `cbtspec tap` keeps them, and the guest's writes.

A tool may connect more than once. To verify, a greeting may be that of another QEMU, of which nothing is known. Here
it is known when it is the same one, so its later greetings are left out; unless jobs went on while nobody was
connected who could hear of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from cbtcheck.judging.conversation import Entry
from cbtcheck.judging.schedule import FAULTS, Write

ANOTHER = frozenset(f"fault: {FAULTS[each]}" for each in ("emulator-killed", "restart"))
"""What is noted when QEMU is another one from here on."""

AT_REST = ("concluded", "null")
"""The states of a job that it does not leave by itself."""


def log_lines(entries: Sequence[Entry], nodes: Mapping[str, str]) -> Iterator[bytes]:
    """The lines of the log. `nodes`: QEMU's names of the disks, where they have others."""
    jobs: dict[str, str] = {}
    known, skipping = False, False
    for moment, each in enumerate(entries):
        if each.write is not None:
            yield from _written(each, each.write, nodes.get(each.write.disk, each.write.disk))
        if each.text in ANOTHER:
            known, jobs = False, {}
        if not each.raw:
            continue
        if each.text == "greeting":
            skipping = known and all(status in AT_REST for status in jobs.values())
            known = True
        if skipping and (each.text in ("greeting", "done") or each.text.startswith("qmp_capabilities")):
            skipping = each.text != "done"
            continue
        _follow(each, jobs)
        direction = "send" if each.who == "tool" else "receive"
        head = f'{{"time":{moment},"direction":"{direction}","message":'
        yield head.encode() + each.raw.replace(b"\r", b" ").replace(b"\n", b" ") + b"}\n"


def _written(entry: Entry, write: Write, node: str) -> Iterator[bytes]:
    """A write; of a discard certainly the parts that were heeded, and perhaps all of it."""
    whole = {"do": "write", "node": node, "offset": write.offset, "length": write.length}
    lines = [whole]
    if entry.parts is not None:
        certain = [whole | {"offset": offset, "length": length} for offset, length in entry.parts]
        lines = [whole | {"reply": "indefinite"}, *certain]
    yield from (json.dumps(each).encode() + b"\n" for each in lines)


def _follow(entry: Entry, jobs: dict[str, str]) -> None:
    """What is known of the jobs: an event tells their state; one that was started runs."""
    if "/event/JOB_STATUS_CHANGE" in entry.point:
        data = json.loads(entry.raw).get("data", {})
        jobs[str(data.get("id"))] = str(data.get("status"))
