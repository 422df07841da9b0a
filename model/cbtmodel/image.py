"""Images: bitmaps that are stored in a file, and what is left of them after a close, a crash, or somebody else.

A disk's *image* has *entries*: bitmaps as they were stored. While the image is open for writing every entry is *in
use*, which says that it is not to be trusted: what counts then is in memory. A close stores all persistent bitmaps,
and takes the mark away, in one step. So after a crash an entry is in use, and the bitmap that is loaded from it is
*inconsistent*: it is there by name, and nobody can use it. An image that somebody has written who knows nothing of
bitmaps is not *current*, and has none.

RULE-DISK: whatever happens, and whenever, a name in the image is absent, or openly not to be trusted, or has all that
is owed under it. So a write that is owed has one more resting place: a bitmap that says that it cannot be relied on.

This stands beside `step`: here is what files do, and which commands a file forbids; what they do is said there. A
power cut that loses what was not flushed, and the order of writes within a store, are not of this page: `cbtspec
crash` enumerates them for real.

Source: QEMU, block/qcow2-bitmap.c and docs/interop/qcow2.txt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, assert_never

from cbtmodel import bitmap, jobs, node
from cbtmodel import commands as c
from cbtmodel.backup import Ended
from cbtmodel.bitmap import Bitmap, Marks
from cbtmodel.blocks import S
from cbtmodel.loops import fold, mapped, some
from cbtmodel.node import Node, State, drain
from cbtmodel.record import replace
from cbtmodel.refusal import Refused
from cbtmodel.step import step
from cbtmodel.table import Table
from cbtmodel.transaction import drain_all, prepare, started_by

Soundness: TypeAlias = Literal["sound", "inconsistent"]
Forbidden: TypeAlias = Literal["read only", "inconsistent", "not open", "open already", "no image", "busy"]
ByItself: TypeAlias = Literal["by itself"]
Failure: TypeAlias = Literal["", "before anything", "in use", "not current"]


@dataclass(frozen=True, slots=True)
class Entry(Generic[S]):
    """A bitmap in an image. `in_use`: whoever opened the image last has not stored it yet, and perhaps never did."""

    granularity: int
    enabled: bool
    in_use: bool
    marks: Marks[S]


@dataclass(frozen=True, slots=True)
class Image(Generic[S]):
    """The file of a disk of `size` bytes. `current`: whoever wrote it last has looked after its entries."""

    size: int
    entries: Table[Entry[S]] = field(default_factory=Table)
    current: bool = True


@dataclass(frozen=True, slots=True)
class Opened:
    """How an image is open; and the bitmaps that are to be stored, by name, with what they are worth."""

    writable: bool
    persistent: Table[Soundness] = field(default_factory=Table)


@dataclass(frozen=True, slots=True)
class Stored(Generic[S]):
    """All images by the name of their disk, how they are open if they are, and the state of the disks that are."""

    state: State[S]
    images: Table[Image[S]]
    opened: Table[Opened] = field(default_factory=Table)


@dataclass(frozen=True, slots=True)
class Open:
    """The image is opened. `fails`: it could not be; what had been written by then is there."""

    node: str
    writable: bool = True
    fails: Failure = ""


@dataclass(frozen=True, slots=True)
class Close:
    """The image is closed, its jobs with it. `fails`: its bitmaps could not be stored."""

    node: str
    fails: bool = False


@dataclass(frozen=True, slots=True)
class Reopen:
    """The image is open for writing from now on, or for reading only. `fails`: as `Open`; it is open as before."""

    node: str
    writable: bool
    fails: Failure = ""


@dataclass(frozen=True, slots=True)
class Persist:
    """A bitmap is added that is to be stored. `fails`: that is refused where the image is open for reading only."""

    add: c.AddBitmap
    fails: bool = False


@dataclass(frozen=True, slots=True)
class WrittenByOthers:
    """Somebody writes to the closed image who knows nothing of bitmaps."""

    node: str


@dataclass(frozen=True, slots=True)
class Crash:
    """Everything that is not in a file is gone."""


Event: TypeAlias = Open | Close | Reopen | Persist | WrittenByOthers | Crash


@dataclass(frozen=True, slots=True)
class Happened(Generic[S]):
    """What came of an event or a command: as `cbtmodel.step.Step`, or what forbids it."""

    stored: Stored[S]
    refusal: Refused | Forbidden | None = None
    ended: tuple[Ended[S], ...] = ()


def happen(stored: Stored[S], what: Event | c.Command) -> Happened[S]:
    """What an event or a command does."""
    match what:
        case Open(node):
            return open_image(stored, what) if node in stored.images else Happened(stored, "no image")
        case Close(node):
            return close(stored, what) if node in stored.opened else Happened(stored, "not open")
        case Reopen(node):
            return reopen(stored, what) if node in stored.opened else Happened(stored, "not open")
        case Persist():
            return persist(stored, what)
        case WrittenByOthers(node):
            return written_by_others(stored, node) if node in stored.images else Happened(stored, "no image")
        case Crash():
            return Happened(Stored(State(stored.state.space, Table()), stored.images))
        case _:
            return command(stored, what)


def open_image(stored: Stored[S], event: Open) -> Happened[S]:
    """All valid entries are bitmaps from now on, and in use; those that are in use already are inconsistent ones."""
    if event.node in stored.opened:
        return Happened(stored, "open already")
    image = stored.images[event.node]
    if event.fails:
        return Happened(replace(stored, images=stored.images.put(event.node, left(image, image, event.fails))))
    entries = image.entries if image.current else Table()
    nothing: Table[Bitmap[S]] = Table()
    bitmaps = fold(entries, nothing, lambda made, name: made.put(name, loaded(stored, entries[name])))
    state = replace(stored.state, nodes=stored.state.nodes.put(event.node, Node(image.size, bitmaps)))
    images = stored.images.put(event.node, marked(image) if event.writable else replace(image, entries=entries))
    unnamed: Table[Soundness] = Table()
    worth = fold(entries, unnamed, lambda made, name: made.put(name, soundness(entries[name])))
    return Happened(Stored(state, images, stored.opened.put(event.node, Opened(event.writable, worth))))


def marked(image: Image[S]) -> Image[S]:
    """Every entry is in use."""
    entries = image.entries if image.current else Table()
    return Image(image.size, mapped(entries, lambda each: replace(each, in_use=True)))


def left(before: Image[S], after: Image[S], fails: Failure) -> Image[S]:
    """What is left of an image that was to be marked or stored, and to be as it is `after` that."""
    return {"before anything": before, "in use": marked(after), "not current": replace(before, current=False)}[fails]


def soundness(entry: Entry[S]) -> Soundness:
    """What the bitmap of an entry is worth when it is loaded."""
    return "inconsistent" if entry.in_use else "sound"


def loaded(stored: Stored[S], entry: Entry[S]) -> Bitmap[S]:
    """The bitmap that an entry becomes in memory."""
    if entry.in_use:
        return bitmap.create(stored.state.space, entry.granularity, False)
    return Bitmap(entry.granularity, entry.enabled, entry.marks)


def close(stored: Stored[S], event: Close) -> Happened[S]:
    """What is in flight ends, jobs are cancelled, bitmaps are stored, and what is left in memory is gone."""
    state, ended = cancelled(drain(stored.state, event.node), event.node)
    images = stored.images if event.fails else store(replace(stored, state=state), event.node)
    gone = replace(state, nodes=state.nodes.drop(event.node))
    return Happened(Stored(gone, images, stored.opened.drop(event.node)), None, ended)


def cancelled(state: State[S], node_name: str) -> jobs.Result[S]:
    """Every job of the disk is cancelled, and with it its group."""

    def one(so_far: jobs.Result[S], job: str) -> jobs.Result[S]:
        reached, ended = so_far
        if job not in reached.jobs:
            return so_far
        after, more = jobs.cancel(reached, job)
        return after, (*ended, *more)

    start: jobs.Result[S] = state, ()
    return fold(node.jobs_of(state, node_name), start, one)


def store(stored: Stored[S], node: str) -> Table[Image[S]]:
    """The images, with the persistent bitmaps of a disk in its own: sound ones as they are now, others as before."""
    opened, image = stored.opened[node], stored.images[node]
    bitmaps = stored.state.nodes[node].bitmaps
    if not opened.writable:
        return stored.images

    def put(entries: Table[Entry[S]], name: str) -> Table[Entry[S]]:
        if opened.persistent[name] == "inconsistent":  # a removal that was taken back has dropped its entry
            return entries.put(name, image.entries[name]) if name in image.entries else entries
        return entries.put(name, written(bitmaps[name]))

    start: Table[Entry[S]] = Table()
    return stored.images.put(node, Image(image.size, fold(opened.persistent, start, put)))


def written(bitmap: Bitmap[S]) -> Entry[S]:
    """The entry that a bitmap becomes when it is stored."""
    return Entry(bitmap.granularity, bitmap.enabled, False, bitmap.marks)


def reopen(stored: Stored[S], event: Reopen) -> Happened[S]:
    """For reading only: what is in flight ends, bitmaps are stored; not while a job has one. For writing: marked."""
    name = event.node
    opened, image = stored.opened[name], stored.images[name]
    if event.writable == opened.writable:
        return Happened(stored)
    if not event.writable and some(stored.state.nodes[name].bitmaps, lambda each: in_use(stored, name, each)):
        return Happened(stored, "busy")  # what its successor records would be in no file
    state, ended = jobs.settle(drain(stored.state, name), tuple(node.jobs_of(stored.state, name)))
    images = stored.images.put(name, marked(image)) if event.writable else store(replace(stored, state=state), name)
    if event.fails:
        after = images.put(name, left(image, images[name], event.fails))
        return Happened(Stored(state, after, stored.opened), None, ended)
    reopened = stored.opened.put(name, replace(opened, writable=event.writable))
    return Happened(Stored(state, images, reopened), None, ended)


def persist(stored: Stored[S], event: Persist) -> Happened[S]:
    """A new bitmap. It is in no file until it is stored; where an image is only read it may be refused at once."""
    add = event.add
    if event.fails and read_only(stored, add.node):
        return Happened(stored, "read only")
    done = command(stored, add)
    if done.refusal is not None:
        return done
    opened = done.stored.opened[add.node]
    more = replace(opened, persistent=opened.persistent.put(add.name, "sound"))
    return Happened(replace(done.stored, opened=done.stored.opened.put(add.node, more)))


def written_by_others(stored: Stored[S], node: str) -> Happened[S]:
    """The entries say nothing about the disk any more."""
    if node in stored.opened:
        return Happened(stored, "open already")
    return Happened(replace(stored, images=stored.images.put(node, replace(stored.images[node], current=False))))


def command(stored: Stored[S], asked: c.Command) -> Happened[S]:
    """A command, unless an image forbids it. What removes a persistent bitmap writes that at once."""
    if isinstance(asked, c.Transaction):
        return transaction(stored, asked)
    why = forbids(stored, asked)
    if why is not None:
        return Happened(stored, why)
    done = step(stored.state, asked)
    after = replace(stored, state=done.state)
    return Happened(after if done.refusal else unlisted(forgotten(after, asked), asked), done.refusal, done.ended)


def transaction(stored: Stored[S], asked: c.Transaction) -> Happened[S]:
    """Action by action. What a removal has written stays written if a later action is refused: that is no loss."""
    done = step(stored.state, asked)
    if c.malformed(asked) or (asked.grouped and some(asked.actions, lambda one: not isinstance(one, c.StartBackup))):
        return Happened(stored, done.refusal)
    together = started_by(asked.actions) if asked.grouped else ()
    drained = Happened(replace(stored, state=drain_all(stored.state)))
    amid = fold(asked.actions, drained, lambda so_far, each: prepared(so_far, each, together))
    if amid.refusal is not None:
        return Happened(replace(stored, images=amid.stored.images), amid.refusal)
    return Happened(fold(asked.actions, replace(amid.stored, state=done.state), unlisted), None, done.ended)


def prepared(so_far: Happened[S], action: c.Action, together: tuple[str, ...]) -> Happened[S]:
    """One action of a transaction, in the moment that those before it have left; none, if one of them was refused."""
    why = so_far.refusal or forbids(so_far.stored, action)
    if why is not None:
        return Happened(so_far.stored, why)
    try:
        after = replace(so_far.stored, state=prepare(so_far.stored.state, action, together))
    except Refused as refusal:
        return Happened(so_far.stored, refusal)
    return Happened(forgotten(after, action))


def forgotten(stored: Stored[S], removal: c.Command | c.Action) -> Stored[S]:
    """The image has no such entry; nor has it if the transaction of the removal is refused later: that is no loss."""
    if not isinstance(removal, c.RemoveBitmap) or removal.node not in stored.opened:
        return stored
    image = stored.images[removal.node]
    if not stored.opened[removal.node].writable or removal.name not in image.entries:
        return stored
    fewer = replace(image, entries=image.entries.drop(removal.name))
    return replace(stored, images=stored.images.put(removal.node, fewer))


def unlisted(stored: Stored[S], removal: c.Command | c.Action) -> Stored[S]:
    """The bitmap is not to be stored any more."""
    if not isinstance(removal, c.RemoveBitmap) or removal.node not in stored.opened:
        return stored
    opened = stored.opened[removal.node]
    if removal.name not in opened.persistent:
        return stored
    rest = replace(opened, persistent=opened.persistent.drop(removal.name))
    return replace(stored, opened=stored.opened.put(removal.node, rest))


def forbids(stored: Stored[S], asked: c.Command | c.Action) -> Forbidden | None:
    """Why an image does not let a command or an action happen; None if it does. Who is busy is told so first."""
    match asked:
        case c.Write(node=node_name) | c.BeginWrite(node=node_name):
            return "read only" if read_only(stored, node_name) else None
        case c.RemoveBitmap(node_name, name):
            return "read only" if held(stored, node_name, name) and not in_use(stored, node_name, name) else None
        case c.ClearBitmap(node_name, name):
            return unusable(stored, node_name, name, changes=True)
        case c.EnableBitmap(node_name, name) | c.DisableBitmap(node_name, name):
            return unusable(stored, node_name, name, changes=False)
        case c.MergeBitmaps(sources=sources):
            start: Forbidden | ByItself | None = None
            found = fold(sources, start, lambda why, each: why or forbids_source(stored, asked, each))
            return None if found == "by itself" else found
        case c.StartBackup(node=node_name, bitmap=name):
            why = unusable(stored, node_name, name or "", changes=False)
            return why or unusable(stored, node_name, name or "", changes=asked.bitmap_mode != "never")
        case (
            c.AddBitmap() | c.Abort() | c.Transaction() | c.PauseJob() | c.ResumeJob() | c.CancelJob()
            | c.FinalizeJob() | c.Copy() | c.BeginCopy() | c.EndCopy() | c.EndWrite()
        ):  # fmt: skip
            return None
        case _:
            assert_never(asked)


def forbids_source(stored: Stored[S], merge: c.MergeBitmaps, source: c.Source) -> Forbidden | ByItself | None:
    """The same of one source of a merge. "By itself": it is refused whatever lies in an image, and ends the merge."""
    alone = step(stored.state, c.MergeBitmaps(merge.node, merge.target, (source,)))
    if alone.refusal is not None and alone.refusal.kind == "not found":
        return "by itself"
    why = unusable(stored, merge.node, merge.target, changes=True)
    if why is None and not in_use(stored, merge.node, merge.target):
        why = unusable(stored, source.node, source.name, changes=False)
    return why if why is not None or alone.refusal is None else "by itself"


def read_only(stored: Stored[S], node: str) -> bool:
    """Whether the disk's image is open for reading only."""
    return node in stored.opened and not stored.opened[node].writable


def held(stored: Stored[S], node: str, name: str) -> bool:
    """Whether a bitmap stays as it is in an image that is only read. One that was added since then is in no file."""
    if not read_only(stored, node) or name not in stored.opened[node].persistent:
        return False
    return name in stored.images[node].entries or stored.opened[node].persistent[name] == "inconsistent"


def in_use(stored: Stored[S], node: str, name: str) -> bool:
    """Whether there is such a bitmap, and something is using it."""
    disk = stored.state.nodes.get(node)
    found = None if disk is None else disk.bitmaps.get(name)
    return found is not None and bitmap.busy(found)


def unusable(stored: Stored[S], node: str, name: str, changes: bool) -> Forbidden | None:
    """Why a bitmap cannot be used, by what `changes` what it has, or only reads it. Whoever is busy is busy first."""
    opened = stored.opened.get(node)
    if opened is None or in_use(stored, node, name):
        return None
    if changes and held(stored, node, name):
        return "read only"
    return "inconsistent" if opened.persistent.get(name) == "inconsistent" else None
