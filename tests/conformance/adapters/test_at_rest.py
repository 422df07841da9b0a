"""Rest is told by the kernel: a process that has anything to do is never taken for one that waits for us."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cbtcheck.adapters.qemu.at_rest import Process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")

ANSWERS = """
import socket, sys
connection = socket.socket(fileno=int(sys.argv[1]))
while True:
    asked = connection.recv(1)
    if not asked:
        break
    if asked == b"w":  # works for a while, and answers
        sum(range(3_000_000))
        connection.send(b"done")
    elif asked == b"l":
        while True:
            pass
    elif asked == b"s":  # answers at once
        connection.send(b"said")
"""


class Peer:
    """A child that does what it is told by one byte, and a watch on it."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-S", "-c", ANSWERS, str(theirs.fileno())]
            self.child = subprocess.Popen(command, pass_fds=(theirs.fileno(),))
        self.watch = Process(self.child.pid, lambda: [self.ours])

    def rests(self) -> bool:
        return asyncio.run(self.watch.at_rest())

    def until_it_rests(self) -> None:
        while not self.rests():
            assert self.child.poll() is None

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        self.ours.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


def test_who_waits_for_us_is_at_rest(peer: Peer) -> None:
    peer.until_it_rests()
    assert peer.rests()


def test_who_was_sent_something_is_not_at_rest_before_its_answer_is_here(peer: Peer) -> None:
    """However slow it is: the first time at which it rests, the answer can be read."""
    for _ in range(20):
        peer.until_it_rests()
        peer.ours.send(b"w")
        while not peer.rests():
            peer.ours.setblocking(False)
            try:
                answer = peer.ours.recv(4)
            except BlockingIOError:
                continue
            assert answer == b"done"
            break
        else:
            pytest.fail("it rested, and had not answered")
        peer.ours.setblocking(True)


def test_an_answer_that_nobody_has_read_is_on_its_way(peer: Peer) -> None:
    peer.until_it_rests()
    peer.ours.send(b"s")
    peer.ours.recv(1, socket.MSG_PEEK)  # it has come
    for _ in range(50):
        assert not peer.rests()
    peer.ours.recv(4)
    peer.until_it_rests()


def test_a_loop_is_no_rest_and_uses_the_processor(peer: Peer) -> None:
    peer.until_it_rests()
    before = peer.watch.processor_seconds()
    peer.ours.send(b"l")
    while peer.watch.processor_seconds() < before + 0.1:
        assert not peer.rests()


def test_who_is_gone_is_not_at_rest(peer: Peer) -> None:
    peer.child.kill()
    peer.child.wait()
    assert not peer.rests()
    assert peer.watch.processor_seconds() == 0


def test_where_the_kernel_does_not_tell_silence_counts() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watch = Process(2**22 + 1, lambda: [ours])  # no such process
        assert not watch.told
        assert asyncio.run(watch.at_rest())
        theirs.send(b"x")
        assert not asyncio.run(watch.at_rest())
