#!/usr/bin/env python3
"""Repeats what docs/findings/crashes.md tells, with QEMU's own tools and a plain file; nothing of cbtspec is used.

    reproduce.py [QEMU-IMG [QEMU-IO [QEMU-STORAGE-DAEMON]]]

The failing request comes from QEMU's driver blkdebug: the flush that follows the m-th write to the file fails, once.
Which write that is, is searched for: each m is tried, and those after which something is wrong are printed. It works
in a temporary directory. Exit code 0: all seven were seen; 1: some were not.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

IMG, IO, DAEMON = [*sys.argv[1:4], *("qemu-img", "qemu-io", "qemu-storage-daemon")[len(sys.argv) - 1 :]]
UNMAP = {"discard": "unmap"}


def call(*words: str) -> tuple[int, str]:
    """Exit code and output of a tool."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


class Daemon:
    """A storage daemon; answers are what a command returns, or the text of its refusal."""

    def __init__(self) -> None:
        words = [DAEMON, "--chardev", "stdio,id=m", "--monitor", "chardev=m",
                 "--nbd-server", "addr.type=unix,addr.path=guest"]  # fmt: skip
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.process.stdout.readline()
        self.do("qmp_capabilities")

    def do(self, command: str, **arguments: object) -> object:
        """One command."""
        self.process.stdin.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        while True:
            answer = json.loads(self.process.stdout.readline())
            if "error" in answer:
                return answer["error"]["desc"]
            if "return" in answer:
                return answer["return"]

    def open(self, file: dict, read_only: bool = False) -> object:
        """Opens an image as node n over node f."""
        self.do("blockdev-add", **file, **{"node-name": "f"})
        return self.do("blockdev-add", **image(read_only))

    def guest(self, *commands: str) -> str:
        """What a guest does through an export, in words of qemu-io; returns what went wrong."""
        self.do("block-export-add", type="nbd", id="e", **{"node-name": "n", "name": "n", "writable": True})
        words = [word for each in commands for word in ("-c", each)]
        _, said = call(IO, "-f", "raw", *words, "nbd+unix:///n?socket=guest")
        self.do("block-export-del", id="e", mode="hard")
        time.sleep(0.05)
        return "; ".join(each for each in said.splitlines() if "failed" in each)

    def kill(self) -> None:
        """The process dies."""
        self.process.kill()
        self.process.communicate()
        if os.path.exists("guest"):
            os.unlink("guest")


def image(read_only: bool) -> dict:
    """Options of the node n."""
    return {"driver": "qcow2", "node-name": "n", "file": "f", "read-only": read_only, **UNMAP}


def failing(write: int) -> dict:
    """The file, whose flush after this write fails once."""
    states = [{"event": "pwritev", "state": each, "new_state": each + 1} for each in range(1, 60)]
    inject = {"event": "pwritev", "state": write, "iotype": "flush", "errno": 5, "once": True}
    return {"driver": "blkdebug", "set-state": states, "inject-error": [inject], **UNMAP,
            "image": {"driver": "file", "filename": "disk.qcow2", **UNMAP}}  # fmt: skip


def fresh(*bitmaps: str) -> None:
    """An image of 1 MiB with these bitmaps, of which 64 KiB are dirty."""
    if os.path.exists("disk.qcow2"):
        os.unlink("disk.qcow2")
    call(IMG, "create", "-q", "-f", "qcow2", "disk.qcow2", "1M")
    for each in bitmaps:
        call(IMG, "bitmap", "--add", "-g", "65536", "disk.qcow2", each)
    if bitmaps:
        call(IO, "-f", "qcow2", "-c", "write -P 1 0 64k", "disk.qcow2")


def looked_at() -> str:
    """The bitmaps as QEMU sees them when it opens the file read-only."""
    daemon = Daemon()
    answer = daemon.open({"driver": "file", "filename": "disk.qcow2"}, read_only=True)
    if isinstance(answer, str):
        seen = f"cannot be opened: {answer}"
    else:
        nodes = daemon.do("query-named-block-nodes", flat=True)
        bitmaps = next(each.get("dirty-bitmaps", []) for each in nodes if each["node-name"] == "n")
        seen = ", ".join(
            f"{each['name']} {'inconsistent' if each.get('inconsistent') else 'valid'}, "
            f"{each['count'] >> 10} KiB dirty"
            for each in bitmaps
        )
    daemon.kill()
    return seen


def crash_1() -> bool:
    """A store at close: b owes 128 KiB, is valid, and says 0."""
    found = False
    for write in range(5, 16):
        fresh("b")
        options = {"driver": "qcow2", **UNMAP, "file": failing(write)}
        _, said = call(IO, "-c", "write -P 7 512k 64k", f"json:{json.dumps(options)}")
        seen = looked_at()
        if "valid" in seen and "128 KiB" not in seen:
            found = True
            errors = call(IMG, "check", "disk.qcow2")[1].splitlines()[0]
            print(f"  write {write}: {said.splitlines()[-1][:160]}\n    {seen}; {errors}")
    return found


def crash_2() -> bool:
    """A reopening as read-only is refused; 64 KiB at 128 KiB are written; after a crash b is valid and lacks them."""
    found = False
    for write in range(4, 16):
        fresh("b")
        daemon = Daemon()
        daemon.open(failing(write))
        answer = daemon.do("blockdev-reopen", options=[image(True)])
        wrong = daemon.guest("write -P 3 128k 64k", "flush")
        daemon.kill()
        seen = looked_at()
        if isinstance(answer, str) and "valid" in seen:
            found = found or not wrong
            print(f"  write {write}: reopen: {answer[:60]}\n    the guest's write: {wrong or 'done'}; {seen}")
    return found


def crash_3() -> bool:
    """A removal is refused; the guest writes; after a crash the image cannot be opened."""
    found = False
    for write in range(4, 12):
        fresh("b", "c")
        daemon = Daemon()
        daemon.open(failing(write))
        answer = daemon.do("block-dirty-bitmap-remove", node="n", name="b")
        wrong = daemon.guest(*(f"write -P 3 {64 * each}k 64k" for each in range(1, 6)), "flush")
        daemon.kill()
        seen = looked_at()
        if "cannot" in seen:
            found = True
            print(f"  write {write}: remove: {answer}\n    the guest's writes: {wrong or 'done'}; {seen}")
    return found


def crash_4() -> bool:
    """A reopening for writing succeeds; no write does, then or later."""
    found = False
    for write in range(1, 5):
        fresh("b")
        daemon = Daemon()
        daemon.open(failing(write), read_only=True)
        answer = daemon.do("blockdev-reopen", options=[image(False)])
        wrong, again = (daemon.guest("write -P 3 128k 64k") for _ in range(2))
        daemon.kill()
        if wrong and again and answer == {}:
            found = True
            print(f"  write {write}: reopen: {answer}; the guest's write: {wrong}; once more: {again}")
    return found


def crash_5() -> bool:
    """The first write to a new image fails; the image is corrupt from then on."""
    fresh()
    inject = [{"event": "l1_update", "iotype": "flush", "errno": 5, "once": True}]
    file = {"driver": "blkdebug", "inject-error": inject, "image": {"driver": "file", "filename": "disk.qcow2"}}
    options = json.dumps({"driver": "qcow2", "file": file})
    print(" ", call(IO, "-c", "write 0 4k", f"json:{options}")[1].splitlines()[0])
    print(" ", call(IMG, "check", "disk.qcow2")[1].replace("\n", " ")[:200])
    print(" ", call(IO, "-f", "qcow2", "-c", "write 128k 4k", "disk.qcow2")[1].replace("\n", " ")[:200])
    last = call(IO, "-f", "qcow2", "-c", "write 128k 4k", "disk.qcow2")[1]
    print(" ", last)
    return "corrupt" in last


def crash_6() -> bool:
    """Of the write of the header the first 512 bytes are there."""
    fresh()
    with open("disk.qcow2", "rb") as file:
        before = file.read()
    call(IMG, "bitmap", "--add", "-g", "65536", "disk.qcow2", "b")
    with open("disk.qcow2", "rb") as file:
        after = file.read()
    with open("disk.qcow2", "wb") as file:
        file.write(after[:512] + before[512:65536] + after[65536:])
    seen = looked_at()
    print(" ", seen)
    return "cannot" in seen


def crash_7() -> bool:
    """An image that QEMU finds to be corrupt, as after CRASH-5, is reopened."""
    fresh()
    inject = [{"event": "l1_update", "iotype": "flush", "errno": 5, "once": True}]
    file = {"driver": "blkdebug", "inject-error": inject, "image": {"driver": "file", "filename": "disk.qcow2"}}
    options = json.dumps({"driver": "qcow2", "file": file})
    call(IO, "-c", "write 0 4k", f"json:{options}")
    with open("disk.qcow2", "rb") as file:
        corrupt = file.read()
    died = []
    for inline in (False, True):
        with open("disk.qcow2", "wb") as file:
            file.write(corrupt)
        options = image(False)
        daemon = Daemon()
        if inline:
            options["file"] = {"driver": "file", "filename": "disk.qcow2", "node-name": "f"}
            daemon.do("blockdev-add", **options)
        else:
            daemon.open({"driver": "file", "filename": "disk.qcow2"})
        print("  the guest's write:", daemon.guest("write 128k 4k"))
        try:
            answer = daemon.do("blockdev-reopen", options=[options])
        except (ValueError, BrokenPipeError):
            answer = f"no answer; exit status {daemon.process.wait()}"
        print(f"  reopen, the file {'inline' if inline else 'a node'}: {answer}")
        daemon.kill()
        died.append("no answer" in str(answer))
    return all(died)


def main() -> int:
    """Tries each."""
    print(call(IMG, "--version")[1].splitlines()[0])
    missing = []
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        for each in (crash_1, crash_2, crash_3, crash_4, crash_5, crash_6, crash_7):
            name = each.__name__.upper().replace("_", "-")
            print(f"{name}: {each.__doc__}")
            if not each():
                missing.append(name)
        os.chdir("/")
    print(f"not seen: {', '.join(missing)}" if missing else "all were seen")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
