#!/usr/bin/env python3
"""Sends commands to QEMU's monitor, one after the other, over one connection; needs nothing but Python.

    qmp.py SOCKET WORD...

A WORD is a command in JSON, or one of these:

    wait=JOB       waits until the job has ended, and dismisses it; fails if it failed
    tidy=BITMAP    takes away what a run that failed has left: jobs, the nodes "target…", and all bitmaps but this one
    size=NODE      prints the size of a node in bytes
    count=NODE/NAME prints how many bytes are dirty in a bitmap; fails if it is not there, or not to be trusted
    room=NODE:FILE makes the file, or makes it as long as the node is

A word that begins with "-" may fail. Exit code 1, with QEMU's message, at the first other that does.
"""

import contextlib
import json
import socket
import sys


class Refused(Exception):
    pass


class Monitor:
    def __init__(self, path):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        # Two files: one for both ("rw") forgets what it has read ahead when it is written to.
        self.replies, self.commands, self.events = connection.makefile("r"), connection.makefile("w"), []
        self.next()
        self.do("qmp_capabilities")

    def next(self):
        line = self.replies.readline()
        if not line:
            raise Refused("QEMU has closed the connection")
        return json.loads(line)

    def do(self, command, arguments=None):
        self.commands.write(json.dumps({"execute": command, "arguments": arguments or {}}) + "\n")
        self.commands.flush()
        while "event" in (message := self.next()):
            self.events.append(message)
        if "error" in message:
            raise Refused(f"{command}: {message['error']['desc']}")
        return message["return"]

    def wait(self, job):
        while (found := [each for each in self.do("query-jobs") if each["id"] == job])[0]["status"] != "concluded":
            if not self.events:
                self.events.append(self.next())
            self.events.clear()
        self.do("job-dismiss", {"id": job})
        if "error" in found[0]:
            raise Refused(f"{job}: {found[0]['error']}")

    def tidy(self, kept):
        for job in self.do("query-jobs"):
            if job["status"] != "concluded":
                self.do("job-cancel", {"id": job["id"]})
            with contextlib.suppress(Refused):
                self.wait(job["id"])
        nodes = self.do("query-named-block-nodes", {"flat": True})
        for node in nodes:
            if node["node-name"].startswith("target"):
                self.do("blockdev-del", {"node-name": node["node-name"]})
            for bitmap in node.get("dirty-bitmaps", []):
                if bitmap["name"] != kept and not node["node-name"].startswith("target"):
                    self.do("block-dirty-bitmap-remove", {"node": node["node-name"], "name": bitmap["name"]})

    def bytes_of(self, wanted):
        nodes = self.do("query-named-block-nodes", {"flat": True})
        return next(node["image"]["virtual-size"] for node in nodes if node["node-name"] == wanted)

    def size(self, wanted):
        print(self.bytes_of(wanted))

    def count(self, wanted):
        node, _, name = wanted.partition("/")
        listed = [each for each in self.do("query-named-block-nodes", {"flat": True}) if each["node-name"] == node]
        found = [each for each in listed[0].get("dirty-bitmaps", []) if each["name"] == name]
        if not found or found[0].get("inconsistent"):
            raise Refused(f"{wanted}: there is no bitmap that can be used")
        print(found[0]["count"])

    def room(self, words):
        wanted, _, path = words.partition(":")
        size = self.bytes_of(wanted)
        with open(path, "ab") as file:
            file.truncate(size)


def main(path, *words):
    monitor = Monitor(path)
    for word in words:
        what = word.removeprefix("-")
        try:
            if what.startswith("{"):
                command = json.loads(what)
                monitor.do(command["execute"], command.get("arguments"))
            else:
                name, _, of = what.partition("=")
                does = {"wait": monitor.wait, "tidy": monitor.tidy, "size": monitor.size, "count": monitor.count,
                        "room": monitor.room}
                does[name](of)
        except Refused as why:
            if what == word:
                sys.exit(str(why))


if __name__ == "__main__":
    main(*sys.argv[1:])
