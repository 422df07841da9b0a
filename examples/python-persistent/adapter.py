#!/usr/bin/env python3
"""A changed block tracker that stores its bitmaps in files, and its adapter: the capability `persistence`.

Each disk has an *image*: a JSON file with its bitmaps. When it is opened for writing each of them is marked as in use
before the first write; a close stores what there is and takes the marks away, by one rename. So what a crash leaves
is in use, and is loaded as inconsistent. Backups are left to the suite.

    adapter.py [no-mark | trusts | heals | loses-flag]     with a mistake, to see it found
"""

import json
import os
import shutil
import sys
import tempfile

MISTAKE = sys.argv[1] if len(sys.argv) > 1 else ""
FOLDER = tempfile.mkdtemp(prefix="persistent-")
disks, jobs = {}, {}  # open disks by name; the bitmap that each job has frozen


class Refused(Exception):
    """A command that is not carried out: the kind of the error."""


class Bitmap:
    """The numbers of its dirty granules, and those of its successor while a backup has it frozen."""

    def __init__(self, granularity, enabled=True, persistent=False):
        self.unit, self.enabled, self.persistent = granularity, enabled, persistent
        self.inconsistent = False
        self.dirty, self.successor = set(), None

    def touched(self, offset, length):
        """Every granule that a range touches, even in part."""
        return range(offset // self.unit, -(-(offset + length) // self.unit) if length else 0)


class Disk:
    """A disk whose image is open."""

    def __init__(self, writable):
        self.writable, self.bitmaps = writable, {}


class Image:
    """The file of a disk: {name: {granularity, enabled, in_use, dirty}}."""

    def __init__(self, name):
        self.path = os.path.join(FOLDER, name.encode().hex())

    def read(self):
        """What is stored."""
        with open(self.path) as file:
            return json.load(file)

    def write(self, entries):
        """All of it at once: another file takes the place of this one."""
        with open(self.path + ".new", "w") as file:
            json.dump(entries, file)
        os.replace(self.path + ".new", self.path)

    def mark(self):
        """Whoever opens it next must not trust it."""
        if MISTAKE != "no-mark":
            self.write({name: {**entry, "in_use": True, "dirty": []} for name, entry in self.read().items()})

    def store(self, bitmaps):
        """What there is, and of what is inconsistent just that."""
        self.write({
            name: {"granularity": each.unit, "enabled": each.enabled and MISTAKE != "loses-flag",
                   "in_use": each.inconsistent and MISTAKE != "heals", "dirty": sorted(each.dirty)}
            for name, each in bitmaps.items() if each.persistent
        })


def load(name, writable):
    """A disk with the bitmaps of its image."""
    disk, image = Disk(writable), Image(name)
    for each, entry in image.read().items():
        bitmap = disk.bitmaps[each] = Bitmap(entry["granularity"], entry["enabled"], persistent=True)
        bitmap.dirty = set(entry["dirty"])
        if entry["in_use"] and MISTAKE != "trusts":
            bitmap.inconsistent, bitmap.enabled, bitmap.dirty = True, False, set()
    if writable:
        image.mark()
    return disk


def found(node, name, changes=True):
    """A bitmap that may be used, by what `changes` it or by what only reads it."""
    if node not in disks or name not in disks[node].bitmaps:
        raise Refused("not found")
    bitmap = disks[node].bitmaps[name]
    if bitmap.successor is not None:
        raise Refused("busy")
    if changes and bitmap.persistent and not disks[node].writable:
        raise Refused("read only")
    return bitmap


def sound(node, name, changes=True):
    """One that can be trusted, too."""
    bitmap = found(node, name, changes)
    if bitmap.inconsistent:
        raise Refused("inconsistent")
    return bitmap


def merged(node, target, sources):
    """What the target has with all sources."""
    if node not in disks or target not in disks[node].bitmaps:
        raise Refused("not found")
    dirty = set(disks[node].bitmaps[target].dirty)
    for each in sources:
        if each["node"] not in disks or each["name"] not in disks[each["node"]].bitmaps:
            raise Refused("not found")
        into, source = sound(node, target), sound(each["node"], each["name"], changes=False)
        if sizes[node] != sizes[each["node"]]:
            raise Refused("size mismatch")
        for granule in source.dirty:
            offset = granule * source.unit
            dirty.update(into.touched(offset, min(source.unit, sizes[node] - offset)))
    return dirty


def seen(node, name, each):
    """A bitmap as the suite sees it."""
    recording = each.enabled and not each.inconsistent
    return {"node": node, "name": name, "granularity": each.unit, "recording": recording,
            "busy": each.successor is not None, "dirty": [[i * each.unit, each.unit] for i in sorted(each.dirty)],
            "persistent": each.persistent, "inconsistent": each.inconsistent}


def observed():
    """All bitmaps, and how the images are open. Nobody need look into the files."""
    bitmaps = [seen(node, name, each) for node, disk in disks.items() for name, each in disk.bitmaps.items()]
    state = {True: "rw", False: "ro"}
    images = [{"node": name, "open": state[disks[name].writable] if name in disks else ""} for name in sizes]
    return {"bitmaps": bitmaps, **({"images": images} if in_images else {})}


def reset(named, images):
    """Fresh disks, in images that are open for writing."""
    global in_images, sizes
    in_images, sizes = images, {disk["name"]: disk["size"] for disk in named}
    disks.clear()
    jobs.clear()
    for name in sizes:
        Image(name).write({})
        disks[name] = load(name, writable=True)


def handle(do, node=None, name=None, bitmap=None, job=None, **more):
    """Does what a request asks for, and returns the reply."""
    if do == "hello":
        return {"protocol": 1, "name": "persistent", "version": "1.0", "language": "Python", "copies": "suite",
                "capabilities": ["core", "remove-bitmap", "clear-bitmap", "enable-bitmap", "disable-bitmap",
                                 "disabled", "merge-bitmaps", "persistence"],
                "granularities": [4096, 512], "clusters": [4096], "max_dirty": 1 << 16}
    if do == "observe":
        return observed()
    if do == "reset":
        reset(more["disks"], more["images"])
    elif do == "crash":
        disks.clear()
        jobs.clear()
    elif do in ("open", "written-by-others"):
        if node in disks:
            raise Refused("exists")
        if node not in sizes:
            raise Refused("not found")
        if do == "open":
            disks[node] = load(node, more["writable"])
        else:
            Image(node).write({})  # whoever knows nothing of bitmaps drops them
    elif do == "end-backup":
        ended = jobs.pop(job)
        ended.dirty = ended.successor if more["success"] else ended.dirty | ended.successor
        ended.successor = None
    elif do == "clear-bitmap":
        sound(node, name).dirty = set()
    elif do in ("enable-bitmap", "disable-bitmap"):
        sound(node, name, changes=False).enabled = do == "enable-bitmap"
    elif do == "remove-bitmap":
        found(node, name)
        del disks[node].bitmaps[name]
        image = Image(node)
        image.write({each: entry for each, entry in image.read().items() if each != name})
    elif do == "merge-bitmaps":
        dirty = merged(node, more["target"], more["sources"])
        disks[node].bitmaps[more["target"]].dirty = dirty
    elif do != "bye":
        on_disk(do, node, name, bitmap, job, **more)
    return {}


def on_disk(do, node, name, bitmap, job, **more):
    """What takes an open disk."""
    if node not in disks:
        raise Refused("not found")
    disk = disks[node]
    if do == "add-bitmap":
        if name in disk.bitmaps:
            raise Refused("exists")
        disk.bitmaps[name] = Bitmap(more["granularity"], more["enabled"], more["persistent"])
    elif do == "write":
        if not disk.writable:
            raise Refused("read only")
        for each in disk.bitmaps.values():
            if each.enabled:
                recorder = each.dirty if each.successor is None else each.successor
                recorder.update(each.touched(more["offset"], more["length"]))
    elif do == "start-backup":
        if bitmap is not None:
            sound(node, bitmap, changes=False)  # that it is not to be trusted is said first
        frozen = Bitmap(512) if bitmap is None else found(node, bitmap)
        frozen.successor, jobs[job] = set(), frozen
    elif do == "close":
        if disk.writable:
            Image(node).store(disk.bitmaps)
        del disks[node]
    elif do == "reopen" and more["writable"] != disk.writable:
        if not more["writable"]:
            if any(each.successor is not None for each in disk.bitmaps.values()):
                raise Refused("busy")
            Image(node).store(disk.bitmaps)
        else:
            Image(node).mark()
        disk.writable = more["writable"]


sizes, in_images = {}, False
try:
    for line in sys.stdin:
        request = json.loads(line)
        seq = request.pop("seq")
        try:
            reply = handle(**request)
        except Refused as refused:
            reply = {"error": str(refused)}
        print(json.dumps({"seq": seq, **reply}), flush=True)
        if request["do"] == "bye":
            break
finally:
    shutil.rmtree(FOLDER)
