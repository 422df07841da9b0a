"""QEMU opens a state, too: it has to see what our own reader sees, or to refuse it for the same reason."""

from __future__ import annotations

from cbtwire.qcow2.bitmaps import bits, granules, read_image
from cbtwire.qcow2.guest import guest_data
from cbtwire.qcow2.reading import BadImage, InMemory

from cbtcheck.adapter import digest
from cbtcheck.crash.machine import Machine
from cbtcheck.crash.setting import Setting


async def difference(machine: Machine, setting: Setting, content: bytes, data: bool) -> str:
    """What QEMU sees otherwise than our reader, in one line; "" if nothing. With `data` the guest's are compared."""
    source = InMemory(content)
    try:
        image = read_image(source)
    except BadImage as problem:
        seen = await machine.look(content, setting, (), data)
        if seen.refused and problem.what in seen.refused:
            return ""
        return f"our reader: {problem}; QEMU: {seen.refused or 'opens it'}"
    seen = await machine.look(content, setting, [each.name for each in image.bitmaps], data)
    if seen.refused:
        return f"our reader opens it; QEMU: {seen.refused}"
    ours = {
        each.name: (
            each.granularity, each.in_use,
            digest(0 if each.in_use else bits(source, image.header, each), granules(image.header, each)),
        )
        for each in image.bitmaps
    }  # fmt: skip
    theirs = {
        each["name"]: (each["granularity"], bool(each.get("inconsistent")), seen.hashes.get(each["name"]))
        for each in seen.bitmaps
    }
    if ours != theirs:
        return f"our reader: {ours}; QEMU: {theirs}"
    if data:
        try:
            disk: bytes | None = bytes(guest_data(source, image.header, setting.backing()))
        except BadImage:
            disk = None
        if disk != seen.disk:
            ours_too, theirs_too = ("nothing" if each is None else "data" for each in (disk, seen.disk))
            return f"the guest reads otherwise from QEMU ({theirs_too}) than from our reader ({ours_too})"
    return ""
