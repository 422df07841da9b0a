"""The tap: every byte unchanged, a log that is judged, and whatever can go wrong; also at a real QEMU's socket."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.trace.tap import Log, Messages
from cbtcheck.trace.verify import Options, verify

TAP = [str(Path(sys.executable).with_name("cbtspec")), "tap"]


@contextmanager
def tapping(directory: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A tap at `directory`/qmp, which listens at qmp.tap and writes log."""
    command = [*TAP, str(directory / "qmp"), str(directory / "log"), *more]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("listening at")
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def interrupted(process: subprocess.Popen[str], by: int = signal.SIGINT) -> tuple[int, str]:
    process.send_signal(by)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@contextmanager
def listening(at: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(at))
        server.listen()
        server.settimeout(60)
        yield server


@contextmanager
def client(at: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(60)
        made.connect(str(at))
        yield made


def all_of(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_every_byte_is_passed_on_unchanged_in_both_directions(tmp_path: Path) -> None:
    sent = b'{"execute":\r\n "x","a":"}\\"{"}{"execute":"y"} no json \xff\x00' + b"z" * 300_000
    replied = b'{"return": {}}\r\n{"return": "\xc3\xa4"}' + bytes(range(256)) * 1000
    with listening(tmp_path / "qmp") as server, tapping(tmp_path) as process, client(tmp_path / "qmp.tap") as tool:
        qemu, _ = server.accept()
        tool.sendall(sent)
        tool.shutdown(socket.SHUT_WR)
        assert all_of(qemu) == sent
        qemu.sendall(replied)
        qemu.close()
        assert all_of(tool) == replied
        assert interrupted(process)[0] == 130
    assert not (tmp_path / "qmp.tap").exists()
    logged = [line for line in (tmp_path / "log").read_bytes().splitlines() if b'"direction":"send"' in line]
    assert [json.loads(line)["message"] for line in logged] == [{"execute": "x", "a": '}"{'}, {"execute": "y"}]


def test_clients_come_and_go_and_qemu_may_not_be_there(tmp_path: Path) -> None:
    with tapping(tmp_path) as process:
        with client(tmp_path / "qmp.tap") as early:
            assert all_of(early) == b""
        with listening(tmp_path / "qmp") as server:
            for number in range(3):
                with client(tmp_path / "qmp.tap") as tool:
                    qemu, _ = server.accept()
                    tool.sendall(b'{"execute":"n%d"}' % number)
                    assert qemu.recv(100) == b'{"execute":"n%d"}' % number
                    if number == 1:
                        tool.close()
                        assert all_of(qemu) == b""
                    qemu.close()
        code, said = interrupted(process, signal.SIGTERM)
    assert code == 130
    assert "client 1: QEMU's socket" in said
    assert "Traceback" not in said
    messages = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    said = [(each["connection"], each["message"]["execute"]) for each in messages]
    assert said == [(2, "n0"), (3, "n1"), (4, "n2")]


def test_a_full_disk_does_not_stop_what_is_passed_on(tmp_path: Path) -> None:
    os.symlink("/dev/full", tmp_path / "log")
    with listening(tmp_path / "qmp") as server, tapping(tmp_path, "--append") as process:
        with client(tmp_path / "qmp.tap") as tool:
            qemu, _ = server.accept()
            for _ in range(2):
                tool.sendall(b'{"execute":"x"}')
                assert qemu.recv(100) == b'{"execute":"x"}'
            qemu.close()
            assert all_of(tool) == b""
        code, said = interrupted(process)
    assert code == 64
    assert said.count("the log cannot be written any more") == 1
    assert "Traceback" not in said


def refused(*arguments: str) -> str:
    done = subprocess.run([*TAP, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 64
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    log, qmp = str(tmp_path / "log"), str(tmp_path / "qmp")
    assert "cannot be written" in refused(qmp, str(tmp_path / "nowhere" / "log"))
    assert "too long for a socket" in refused(qmp, log, "--listen", str(tmp_path / ("x" * 120)))
    assert "cannot listen at" in refused(qmp, log, "--listen", str(tmp_path / "nowhere" / "x"))
    (tmp_path / "file").write_text("")
    assert "is no socket" in refused(qmp, str(tmp_path / "log2"), "--listen", str(tmp_path / "file"))
    assert "is there already: say --append" in refused(qmp, str(tmp_path / "file"))
    with listening(tmp_path / "taken"):
        assert "somebody listens at" in refused(qmp, str(tmp_path / "log3"), "--listen", str(tmp_path / "taken"))


def test_a_socket_that_a_killed_tap_left_is_taken(tmp_path: Path) -> None:
    with tapping(tmp_path) as process:
        process.kill()
        process.wait()
    assert (tmp_path / "qmp.tap").exists()
    with tapping(tmp_path, "--append") as process:
        assert interrupted(process)[0] == 130


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_messages_are_cut_where_they_end(size: int) -> None:
    text = b'x {"a":{"b":"}\\\\\\"{"}}{"c":[]}\r\n{"d":\n1}"{"{"e":2} {"f'
    messages, found = Messages(), []
    for at in range(0, len(text), size):
        found += messages.take(text[at : at + size])
    assert found == [b'{"a":{"b":"}\\\\\\"{"}}', b'{"c":[]}', b'{"d": 1}', *found[3:]]
    assert messages.rest()


def test_what_was_cut_off_is_no_traceback() -> None:
    file = io.BytesIO()
    log = Log(file, lambda text: None, lambda: 1.0)
    log.message(1, "send", b'{"execute":"block-dirty-bitmap-add"')
    log.message(1, "receive", b'{"return": {}}')
    report = verify(io.BytesIO(file.getvalue()), Options())
    assert report.counts.unjudged["messages that cannot be read"] == 1


def talk(at: Path, commands: list[dict[str, Any]], finish: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """A simple client; the last command's effect is waited for until `finish`."""
    seen: list[dict[str, Any]] = []
    with client(at) as tool, tool.makefile("rb") as stream:
        seen.append(json.loads(stream.readline()))
        for command in commands:
            tool.sendall(json.dumps(command).encode())
            while True:
                seen.append(json.loads(stream.readline()))
                if "event" not in seen[-1]:
                    break
        while not any(map(finish, seen)):
            seen.append(json.loads(stream.readline()))
    return seen


@pytest.mark.qemu
def test_a_real_qemu_is_recorded_and_judged(binary: str, tmp_path: Path) -> None:
    qmp = tmp_path / "qmp"
    for name in ("d", "t"):
        (tmp_path / name).write_bytes(bytes(1 << 20))
    daemon = subprocess.Popen([
        binary, *[word for name in ("d", "t") for word in (
            "--blockdev", f"driver=file,filename={tmp_path / name},node-name={name}")],
        "--chardev", f"socket,id=c,path={qmp},server=on,wait=off", "--monitor", "c",
        "--daemonize", "--pidfile", str(tmp_path / "pid"),
    ])  # fmt: skip
    assert daemon.wait(60) == 0
    try:
        with tapping(tmp_path) as process:
            def sent(execute: str, /, **arguments: Any) -> dict[str, Any]:
                return {"execute": execute, "arguments": arguments}

            begin = [{"execute": "qmp_capabilities"}, sent("query-named-block-nodes"),
                     sent("block-dirty-bitmap-add", node="d", name="b"),
                     sent("block-dirty-bitmap-add", node="d", name="b")]  # fmt: skip
            backup = sent("blockdev-backup", device="d", target="t", sync="full", **{"job-id": "j"})
            over = "BLOCK_JOB_COMPLETED"
            seen = talk(tmp_path / "qmp.tap", [*begin, backup], lambda each: each.get("event") == over)
            assert seen[-1]["data"]["len"] == 1 << 20
            again = [{"execute": "qmp_capabilities"}, sent("query-named-block-nodes"), {"execute": "quit"}]
            talk(tmp_path / "qmp.tap", again, lambda each: True)
            assert interrupted(process)[0] == 130
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL) if _runs(tmp_path / "pid") else None
    with (tmp_path / "log").open("rb") as file:
        report = verify(file, Options())
    assert report.findings == []
    assert (report.counts.commands, report.counts.replies_judged) == (3, 3)
    assert not [note for note in report.notes if "monitors" in note], "two connections to one QEMU"


def _runs(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True
