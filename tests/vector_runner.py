"""A runner for vectors, as an implementer would write it: it sees the vectors only, never the specification.

It is one of before there were `chains`, and ignores what it does not know. It has images if its adapter has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cbtcheck.adapter import Adapter, AdapterBroken, Hint
from cbtcheck.scenario.scenario import ScenarioError, command_from_data
from cbtmodel.image import Event


def play(adapter: Adapter, vector: dict[str, Any]) -> str:
    """Plays a vector; what differs first, "" if nothing does."""
    try:
        return next(_differences(adapter, vector), "")
    except AdapterBroken as broken:
        return f"broken: {broken}"


def _differences(adapter: Adapter, vector: dict[str, Any]) -> Iterator[str]:
    sizes = {disk["name"]: disk["size"] for disk in vector["disks"]}
    if "persistence" in vector["needs"]:
        adapter.reset_in_images(sizes)
    else:
        adapter.reset(sizes)
    targets: dict[str, tuple[bytes, list[list[int]]]] = {}
    for number, step_of in enumerate(vector["steps"], 1):
        place = f"step {number}, {step_of['command']['do']}"
        for each in _of_step(adapter, step_of, sizes, targets):
            yield f"{place}: {each}"
    for restore in vector["restores"]:
        image = bytearray(sum(count for _, count in restore["content"]))
        for job in restore["jobs"]:
            content, copied = targets[job]
            for offset, length in copied:
                image[offset : offset + length] = content[offset : offset + length]
        if not same(bytes(image), restore["content"]):
            yield f"restored from {restore['jobs']}"
    adapter.finish()


def _of_step(
    adapter: Adapter, expected: dict[str, Any], sizes: dict[str, int], targets: dict[str, Any]
) -> Iterator[str]:
    kind, ended = _do(adapter, expected["command"])
    if kind not in (expected["refused"] or [""]):
        yield f"refused: {kind!r}, expected {expected['refused']}"
    if sorted(ended) != sorted((each["job"], each["outcome"]) for each in expected["ended"]):
        yield f"ended: {ended}"
    for each in expected["ended"]:
        content = adapter.target(each["job"])
        if content is None:
            continue
        targets[each["job"]] = content, each["copied"]
        if not same(content, each["target"]):
            yield f"the target of {each['job']}"
    after = expected["after"]
    seen = adapter.observe()
    if set(seen.bitmaps) != {(each["node"], each["name"]) for each in after["bitmaps"]}:
        yield f"bitmaps: {sorted(seen.bitmaps)}"
    for each in after["bitmaps"]:
        mine = seen.bitmaps[each["node"], each["name"]]
        if [mine.granularity, mine.recording, mine.busy] != [each["granularity"], each["recording"], each["busy"]]:
            yield f"{each['name']}: {mine}"
        bits = adapter.bits(each["node"], each["name"])
        assert bits is not None
        dirty = covered(granules(bits, mine.granularity, sizes[each["node"]]))
        if not covered(each["must"]) <= dirty:
            yield f"{each['name']}: a write is lost"
        if not dirty <= covered(each["may"]):
            yield f"{each['name']}: wasteful"
        trust = [mine.persistent, mine.inconsistent]
        if "persistent" in each and trust != [each["persistent"], each["inconsistent"]]:
            yield f"{each['name']}: {mine}"
    yield from _images(after.get("images", ()), seen.images or {}, sizes)
    yield from _successors(after, seen.successors or {}, sizes)
    if set(seen.jobs) != {each["job"] for each in after["jobs"]}:
        yield f"jobs: {sorted(seen.jobs)}"
    for each in after["jobs"]:
        job = seen.jobs[each["job"]]
        if job.phase != each["phase"]:
            yield f"{each['job']} is {job.phase}"
        copied = covered(list(map(list, job.copied or ())))
        if not covered(each["copied"]) <= copied <= covered(each["copied"]) | covered(each["copying"]):
            yield f"{each['job']} has copied {job.copied}"
    if seen.in_flight is not None and seen.in_flight != {(each["node"], each["write"]) for each in after["writes"]}:
        yield f"writes in flight: {seen.in_flight}"
    for each in after["disks"]:
        content = adapter.disk(each["node"])
        if content is not None and not same(content, each["content"]):
            yield f"the content of {each['node']}"


def _do(adapter: Adapter, data: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """Makes a command happen; a typed interface refuses by itself what it cannot be asked, or has no bytes for."""
    asked = {name: value for name, value in data.items() if name != "fill"}
    try:
        if data["do"].endswith("write") and data.get("length") in (-1, 1 << 63):
            return "invalid", []
        command = command_from_data(asked, "")
    except ScenarioError:
        return "invalid", []
    hint: Any = Hint(None, data.get("fill", 1))  # type: ignore[arg-type]
    performed = adapter.happen(command, hint) if isinstance(command, Event) else adapter.perform(command, hint)
    if not performed.trace:
        assert (data["do"], data["result"]) == ("write", "ignored"), "not made to happen"
        return "invalid", []
    return performed.trace[-1][1].refusal, list(performed.ended)


def _images(expected: list[dict[str, Any]], seen: dict[str, Any], sizes: dict[str, int]) -> Iterator[str]:
    """How images are open, and what is in their files."""
    for image in expected:
        mine = seen[image["node"]]
        if mine.open != image["open"]:
            yield f"the image of {image['node']} is open: {mine.open!r}"
        if mine.entries is None:
            continue
        if set(mine.entries) != {each["name"] for each in image["entries"]}:
            yield f"entries of {image['node']}: {sorted(mine.entries)}"
        for each in image["entries"]:
            entry = mine.entries[each["name"]]
            if [entry.granularity, entry.enabled, entry.in_use] != [
                each["granularity"], each["enabled"], each["in_use"]
            ]:  # fmt: skip
                yield f"the entry of {each['name']}: {entry}"
            if each["in_use"] or entry.bits is None:
                continue
            dirty = covered(granules(entry.bits, entry.granularity, sizes[image["node"]]))
            if not covered(each["must"]) <= dirty:
                yield f"the entry of {each['name']}: a write is lost"
            if not dirty <= covered(each["may"]):
                yield f"the entry of {each['name']}: wasteful"


def _successors(after: dict[str, Any], seen: dict[str, Any], sizes: dict[str, int]) -> Iterator[str]:
    """The adapter tells of a successor only how much it has."""
    for node, size in sizes.items():
        heirs = [(b["granularity"], b["successor"]) for b in after["bitmaps"] if b["node"] == node and b["successor"]]
        expected = [(g, heir["recording"], count(heir["must"], g), count(heir["may"], g)) for g, heir in heirs]
        found = [(each.granularity, each.recording, each.count) for each in seen.get(node, ())]
        if len(expected) != len(found) or size < 0:
            yield f"successors: {found}"
        for (granularity, recording, least, most), mine in zip(sorted(expected), sorted(found), strict=False):
            if mine[:2] != (granularity, recording) or not least <= mine[2] <= most:
                yield f"a successor: {mine}, expected {least} to {most}"


def count(extents: list[list[int]], granularity: int) -> int:
    return sum(-(-length // granularity) for _, length in extents)


def granules(bits: int, granularity: int, size: int) -> list[list[int]]:
    numbers = (number for number in range(bits.bit_length()) if bits >> number & 1)
    return [[n * granularity, min(granularity, size - n * granularity)] for n in numbers]


def covered(extents: list[list[int]]) -> set[int]:
    """In sectors of 512 bytes, of which everything here consists."""
    return {sector for offset, length in extents for sector in range(offset // 512, -(-(offset + length) // 512))}


def same(content: bytes, runs: list[list[int]]) -> bool:
    at = 0
    for byte, length in runs:
        if byte >= 0 and content[at : at + length] != bytes([byte]) * length:
            return False
        at += length
    return at == len(content)
