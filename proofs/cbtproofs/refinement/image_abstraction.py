"""The abstraction function with images: what a host and its files are a state of the specification *of*.

Of the disks, see `abstraction`. Beside them are what is stored, and how it is open:

| specification            | implementation                                                              |
|--------------------------|-----------------------------------------------------------------------------|
| `Image.entries`          | what our own reader finds in the bytes of the qcow2 file                    |
| `Image.current`          | an image that is not has no entries, for a reader as for whoever opens it   |
| `Opened.writable`        | not `Node.read_only`                                                        |
| `Opened.persistent`      | the bitmaps that are `persistent`; `inconsistent` or sound                  |

What is left out of the specification's side, beside ghosts, is what nobody can see any more: the bits of an entry
that is in use, and the entries of an image that is not current. No event looks at them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from cbtcheck.adapters.qcow2_store import Qcow2Store
from cbtimpl import granules
from cbtimpl.host import Host
from cbtimpl.images import StoredBitmap
from cbtimpl.node import Node
from cbtmodel.bitmap import Marks
from cbtmodel.blocks import S, Space
from cbtmodel.image import Entry, Image, Opened, Soundness, Stored
from cbtmodel.table import Table

from cbtproofs.refinement.abstraction import abstraction, misfits, without_ghosts


def stored_abstraction(host: Host, stores: Mapping[str, Qcow2Store], space: Space[S]) -> Stored[S]:
    """The state of the specification that this is, its ghosts empty."""
    images = {name: _image(host.images[name].disk.size, store, space) for name, store in stores.items()}
    opened = {name: _opened(host.nodes[name]) for name in stores if name in host.nodes}
    return Stored(abstraction(host, space), Table(images), Table(opened))


def _image(size: int, store: Qcow2Store, space: Space[S]) -> Image[S]:
    entries = {name: _entry(each, size, space) for name, each in store.entries().items()}
    return Image(size, Table(entries))


def _entry(stored: StoredBitmap, size: int, space: Space[S]) -> Entry[S]:
    dirty = space.empty
    for first, past in stored.runs:
        dirty = dirty | space.blocks(*granules.span(first, past, stored.granularity, size))
    return Entry(stored.granularity, stored.enabled, stored.in_use, Marks(dirty, space.empty, space.empty))


def _opened(node: Node) -> Opened:
    stored = {name: each for name, each in node.bitmaps.items() if each.persistent}
    worth: dict[str, Soundness] = {
        name: "inconsistent" if each.inconsistent else "sound" for name, each in stored.items()
    }
    return Opened(not node.read_only, Table(worth))


def what_can_be_seen(stored: Stored[S]) -> Stored[S]:
    """What is compared of a state of the specification: no ghosts, and nothing that nobody can see any more."""
    none = stored.state.space.empty

    def bare(entry: Entry[S]) -> Entry[S]:
        return replace(entry, marks=Marks(none if entry.in_use else entry.marks.dirty, none, none))

    images = {
        name: Image(each.size, Table({key: bare(entry) for key, entry in each.entries.items() if each.current}))
        for name, each in stored.images.items()
    }
    return Stored(without_ghosts(stored.state), Table(images), stored.opened)


def misfits_of_images(host: Host) -> Iterator[str]:
    """What does not fit together in the implementation, so that it stands for no state at all; normally nothing."""
    yield from misfits(host)
    for node_name, node in host.nodes.items():
        for name, each in node.bitmaps.items():
            if each.inconsistent and not each.persistent:
                yield f"{node_name}/{name}: inconsistent, and not to be stored"


def parts_of_images(stored: Stored[S]) -> dict[str, object]:
    """Everything that is stored or open, by name."""
    parts: dict[str, object] = {}
    for node, image in stored.images.items():
        opened = stored.opened.get(node)
        parts[f"the image of {node}"] = "closed" if opened is None else "written" if opened.writable else "only read"
        for name, worth in opened.persistent.items() if opened is not None else ():
            parts[f"{node}/{name} to be stored"] = worth
        for name, entry in image.entries.items():
            where = f"the image of {node}: {name}"
            parts[where] = "in use" if entry.in_use else "valid"
            parts[f"{where} dirty"] = sorted(entry.marks.dirty)  # type: ignore[call-overload]
            parts |= {f"{where} {flag}": getattr(entry, flag) for flag in ("granularity", "enabled")}
    return parts
