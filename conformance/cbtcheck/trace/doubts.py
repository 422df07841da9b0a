"""What a log shows of a restart: which bitmaps have come through it, and which have not.

Where a session begins, QEMU may have been started again: after a `quit` it has been, else it was killed, or went
down properly, or somebody only connects anew. So all bitmaps are *in doubt*, until something tells. A command that
uses one and is accepted tells that it is what it was; so does a look. One that is inconsistent, not there, or added
again was lost. What is not to be stored is lost with a `quit`, or when its disk is closed.

Jobs are in doubt, too. Where one is over, and nothing tells how it ended, what was made with its bitmap afterwards is
*undecided*: nobody is accused of what is not in the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cbtmodel import commands as c

from cbtcheck.follow.chains import Place
from cbtcheck.follow.reasons import At
from cbtcheck.follow.undecided import Unknown
from cbtcheck.scenario.actions import actions_of, bitmaps_used
from cbtcheck.scenario.describe import describe
from cbtcheck.trace import restarted
from cbtcheck.trace.chains import OfGaps, OfWorlds
from cbtcheck.trace.places import Places, Untranslatable
from cbtcheck.trace.qmp_actions import actions_in
from cbtcheck.trace.qmp_commands import is_known, to_command
from cbtcheck.trace.qmp_sights import nodes
from cbtcheck.trace.world import Rules

RULES = Rules(copies_seen=False, untracked=True)
QUIT = ("q", "quit")
CLOSED, OPENED = "blockdev-del", "blockdev-add"

SESSION = "a session begins"
GONE = "was not there any more"
IN_USE = "was left in use"

HOW_JOBS = "to tell, record events until it has ended (BLOCK_JOB_COMPLETED)"
HOW_REPLIES = "to tell, record the reply too"
HOW_COMMANDS = "to tell, record all monitors"

MOST_UNKNOWN = 256

Identity = tuple[object, object]


class Doubts:
    """What is in doubt of the chains of one monitor."""

    def __init__(self, chains: OfGaps | OfWorlds) -> None:
        self.chains = chains
        self._persistent: dict[Place, bool] = {}
        self._bitmaps: dict[Place, At] = {}
        self._jobs: dict[str, At] = {}
        self._disks: dict[str, Identity] = {}
        self._quit: At | None = None
        self._nothing_yet = True

    # Sessions

    def begins(self, line: int, chains: OfGaps | OfWorlds, places: Places) -> Doubts:
        """A session begins, in which disks have these files and sizes when they are first seen.

        Returns what is in doubt in it: of other chains nothing.
        """
        if chains is not self.chains:
            return Doubts(chains)
        quit_at, self._quit = self._quit, None
        chains.begins_again(line)
        for node in [*chains.world.state.nodes]:
            self._compare(node, (places.files.get(node), places.sizes.get(node)))
        at = quit_at or At(line, "line", SESSION)
        self._doubt(at, [*chains.world.state.nodes], certain=quit_at is not None)
        return self

    def _doubt(self, at: At, listed: list[str], certain: bool) -> None:
        """These nodes were closed, for `certain` or perhaps."""
        self._nothing_yet = False
        state = self.chains.world.state
        for job, each in state.jobs.items():
            if each.node in listed:
                self._jobs[job] = at
        for job in [*self._jobs] if certain else ():
            self._over(job, counts=True)
        for node in listed:
            for name in self.chains.world.state.nodes[node].bitmaps:
                place = node, name
                if certain and self._persistent.get(place) is False:
                    self._take(place, f"was not to be stored, and gone with the {at.said.split()[0]}", at)
                elif at.said != f"{OPENED} {node}" or place not in self._bitmaps:
                    self._bitmaps[place] = at

    def _compare(self, node: str, disk: Identity) -> None:
        """A node is this disk now. If it was another one, nothing is laid over what was before."""
        pairs = zip(self._disks.get(node, disk), disk, strict=True)
        if all(one is None or other is None or one == other for one, other in pairs):
            return
        for one in self.chains.followers():
            restarted.another_disk(one, node)
        for known in (self._persistent, self._bitmaps):
            for place in [place for place in known if place[0] == node]:
                del known[place]
        self._disks.pop(node, None)

    # What tells

    def accepted(self, line: int, name: str, arguments: Any, places: Places) -> None:
        """A command was accepted, and has not been followed yet."""
        data = arguments if isinstance(arguments, dict) else {}
        if name == "quit" or (name == "human-monitor-command" and data.get("command-line") in QUIT):
            self._quit = At(line, "line", "quit")
        elif name in (CLOSED, OPENED):
            node = places.node(str(data.get("node-name")))
            if node in self.chains.world.state.nodes:
                self._doubt(At(line, "line", f"{name} {node}"), [node], certain=name == CLOSED)
        elif is_known(name):
            for place, persistent in _added(name, data, places):
                self._persistent[place] = persistent
            if self._nothing_yet:
                return  # nothing has been in doubt yet
            command = _command(name, arguments, places)
            if command is not None:
                self._used(line, command)

    def _used(self, line: int, command: c.Command) -> None:
        by = At(line, "line", describe(command))
        for each in actions_of(command):
            if isinstance(each, c.OfJob):
                self._jobs.pop(each.job, None)
                continue
            if isinstance(each, c.StartBackup) and each.job in self._jobs:
                self._over(each.job)
            for place in bitmaps_used(each):
                at = self._bitmaps.pop(place, None)
                if isinstance(each, c.RemoveBitmap):
                    self._persistent.pop(place, None)
                if isinstance(each, c.AddBitmap):
                    if at is not None:
                        self._take(place, GONE, at)
                    for one in self.chains.followers():
                        restarted.added_again(one, place, by)
                elif at is not None and isinstance(each, c.RemoveBitmap):
                    self._take(place, f"was removed, and perhaps not to be trusted since {at.short}", by, there=True)
                else:
                    self._free(place)
                    self._is_there(place)

    def _is_there(self, place: Place) -> None:
        """A bitmap was used. If it was gone, somebody has added it again, who is not in the log."""
        state, known = self.chains.world.state, self.chains.followers()[0].followed.reasons.get(place)
        gone = known is not None and known.removed
        if gone and place[0] in state.nodes and place[1] not in state.nodes[place[0]].bitmaps:
            what = f"when {place[0]}/{place[1]} was added again"
            self._unknown(Unknown(*place, what, gone, HOW_COMMANDS))

    def _unknown(self, what: Unknown) -> None:
        self.chains.unknown = [*self.chains.unknown, what][-MOST_UNKNOWN:]

    def refused(self, name: str, arguments: Any, text: str, places: Places) -> None:
        """A command was refused in these words."""
        command = _command(name, arguments, places) if self._bitmaps else None
        if command is None:
            return
        for place in [place for each in actions_of(command) for place in bitmaps_used(each)]:
            if place in self._bitmaps and f"'{place[1]}'" in text:
                if "inconsistent" in text:
                    self._distrust(place, self._bitmaps.pop(place))
                elif "not found" in text or "not be found" in text:
                    self._take(place, GONE, self._bitmaps.pop(place))
                elif "readonly" in text or "in use" in text:
                    del self._bitmaps[place]

    def shown(self, query: str, reply: Any) -> None:
        """What a reply shows of nodes."""
        for node, _, said in nodes(query, reply):
            listed, image = said.get("dirty-bitmaps", []), said.get("image")
            size = image.get("virtual-size") if isinstance(image, dict) else None
            if isinstance(listed, list):
                shown = [each for each in listed if isinstance(each, dict) and isinstance(each.get("name"), str)]
                self._seen(node, (said.get("file"), size), {each["name"]: each for each in shown})

    def _seen(self, node: str, disk: Identity, bitmaps: dict[str, dict[str, Any]]) -> None:
        if node not in self.chains.world.state.nodes:
            return
        doubted = [place for place in self._bitmaps if place[0] == node]
        if doubted:
            self._compare(node, disk)
        self._disks[node] = disk
        for place in [place for place in doubted if place in self._bitmaps]:
            at, said = self._bitmaps.pop(place), bitmaps.get(place[1])
            if said is None:
                self._take(place, GONE, at)
            elif said.get("inconsistent"):
                self._distrust(place, at)
            elif said.get("busy") is False:
                self._free(place)
        for place in [place for place in self._persistent if place[0] == node and place[1] not in bitmaps]:
            del self._persistent[place]
        for name, said in bitmaps.items():
            if isinstance(said.get("persistent"), bool):
                self._persistent[node, name] = said["persistent"]

    def unheard(self, job: c.StartBackup, line: int) -> None:
        """A backup began, and no event tells how it ended."""
        at = At(line, "line", describe(job))
        self._unknown(Unknown(job.node, job.bitmap or "", f"how {job.job} ended", at, HOW_JOBS, job.job))

    def perhaps_filter(self, line: int, node: str, said: str) -> None:
        """A command about bitmaps said a device, and nothing tells whether a backup of its disk was running."""
        what, at = f"whether a command was about {node} or about {said}", At(line, "line", said)
        self._unknown(Unknown(node, "", what, at, HOW_JOBS))

    def snapshot(self, line: int, lower: str, overlay: str) -> None:
        """A node was laid over another one: the backups of the disk go on under another name."""
        what, at = f"which backups of {lower} those of {overlay} are laid over", At(line, "line", "snapshot")
        self._unknown(Unknown(overlay, "", what, at, "chains are not followed over a snapshot"))

    def unanswered(self, line: int, name: str, arguments: Any, places: Places) -> None:
        """The reply of a command is not in the log: what it would have cleaned is as it was, or not."""
        command = _command(name, arguments, places)
        if command is None:
            return
        at = At(line, "line", describe(command))
        for each in actions_of(command):
            if isinstance(each, c.AddBitmap | c.ClearBitmap | c.RemoveBitmap | c.DisableBitmap | c.StartBackup):
                for node, bitmap in bitmaps_used(each):
                    what = f"whether this was done to {node}/{bitmap}, for its reply is not there"
                    self._unknown(Unknown(node, bitmap, what, at, HOW_REPLIES))

    # What was lost

    def _take(self, place: Place, why: str, at: At, there: bool = False) -> None:
        for job, each in [*self.chains.world.state.jobs.items()]:
            if (each.node, each.bitmap) == place:
                self._jobs.setdefault(job, at)
                self._lose(job)
        for one in self.chains.followers():
            restarted.take(one, place, f"{place[0]}/{place[1]} {why}", at, there)

    def _distrust(self, place: Place, at: At) -> None:
        killed = at.said == SESSION
        self._take(place, IN_USE + (", so QEMU had been killed" if killed else ""), at, there=True)
        for job in [*self._jobs] if killed else ():
            self._lose(job)

    def _lose(self, job: str) -> None:
        """A job is gone with the process that it was in."""
        at = self._jobs.pop(job)
        for one in self.chains.followers():
            restarted.lose(one, job, at)

    def _free(self, place: Place) -> None:
        """Nothing has a bitmap any more: if a job had it that is in doubt, that one is over."""
        for job in [*self._jobs]:
            each = self.chains.world.state.jobs.get(job)
            if each is not None and (each.node, each.bitmap) == place:
                self._over(job)

    def _over(self, job: str, counts: bool = False) -> None:
        """A job is over. `counts`: it was cancelled; if not, nothing tells how it ended."""
        at, each = self._jobs.pop(job), self.chains.world.state.jobs.get(job)
        if each is None:
            return
        if not counts and each.bitmap is not None:
            what = f"how {job}, with {each.node}/{each.bitmap}, ended"
            self._unknown(Unknown(each.node, each.bitmap, what, at, HOW_JOBS))
        for one in self.chains.followers():
            restarted.cancel(one, job, at, RULES, frozenset(self.chains.apart), counts)


def _command(name: str, arguments: Any, places: Places) -> c.Command | None:
    """The command, if it is one that is followed."""
    try:
        return to_command(name, arguments, places) if is_known(name) else None
    except Untranslatable:
        return None


def _added(name: str, arguments: Any, places: Places) -> Iterator[tuple[Place, bool]]:
    """The bitmaps that a command adds, and whether they are to be stored."""
    for action, data in actions_in(name, arguments):
        if action == "block-dirty-bitmap-add":
            place = places.with_bitmaps(str(data.get("node"))), str(data.get("name"))
            yield place, data.get("persistent") is True
