"""What stands in place of the emulator's binary for a tool that starts QEMU itself: asks the suite, and becomes QEMU.

Run as a script, by itself: `python -I -S wrapper.py CONTROL REAL ARGUMENT…`. A call that starts no guest (a tool asks
an emulator for what it can do) becomes the real one at once. Else it gives the suite, at the socket CONTROL, the
arguments and the sockets that they name by number, and takes its answer: which arguments QEMU has instead, and which
terminal it prints to. The process stays the same, so signals of the tool reach QEMU.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys

LONGEST = 1 << 20
"""Bytes of the suite's answer."""


def starts_a_guest(arguments: list[str]) -> bool:
    """Whether this is the call that the tool is judged by: it has a monitor in QMP, and a machine."""
    text = " ".join(arguments)
    if re.search(r"-(machine|M) (type=)?none\b", text) or {"-version", "-help", "-h"} & set(arguments):
        return False
    return "mode=control" in text or "-qmp" in arguments


def numbers(arguments: list[str]) -> list[int]:
    """The sockets that a character device has by number."""
    devices = [each for each in arguments if each.startswith("socket,")]
    return [int(found) for each in devices for found in re.findall(r"\bfd=(\d+)", each)]


def main() -> None:
    """Becomes QEMU."""
    control, real, *arguments = sys.argv[1:]
    if starts_a_guest(arguments):
        open_ones = numbers(arguments)
        with socket.socket(socket.AF_UNIX) as suite:
            suite.connect(control)
            asked = {"arguments": arguments, "sockets": open_ones, "directory": os.getcwd()}
            said = json.dumps(asked).encode()
            suite.sendall(len(said).to_bytes(4, "big"))
            socket.send_fds(suite, [said[:1]], open_ones)
            suite.sendall(said[1:])
            with suite.makefile("rb") as stream:
                answer = json.loads(stream.readline(LONGEST))
        arguments = answer["arguments"]
        terminal = os.open(answer["terminal"], os.O_WRONLY | os.O_NOCTTY)
        os.dup2(terminal, 1)
        for each in open_ones:
            os.set_inheritable(each, True)
    os.execv(real, [real, *arguments])


if __name__ == "__main__":
    main()
