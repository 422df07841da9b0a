"""The helper of the examples that sends QMP: it hears all that QEMU says, however that is cut into pieces."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from waiting import finished

QMP = Path(__file__).parents[3] / "examples" / "judge" / "qmp.py"
GREETING = b'{"QMP": {}}\r\n'
DONE = b'{"return": {}}\r\n'
EVENT = b'{"event": "X"}'
PIECES = [
    (GREETING, DONE, DONE),
    (GREETING, DONE + EVENT + b"\r\n", DONE),
    (GREETING, DONE + EVENT, b"\r\n" + DONE),
    (GREETING, DONE + EVENT[:5], EVENT[5:] + b"\r\n" + DONE),
    (GREETING, DONE + EVENT + b"\r", b"\n" + DONE),
]
"""What QEMU says when it is connected to, and at each command."""


@pytest.mark.parametrize("pieces", PIECES, ids=["whole", "together", "end-later", "half", "between-cr-and-lf"])
def test_what_is_read_ahead_is_not_forgotten(pieces: tuple[bytes, ...], tmp_path: Path) -> None:
    path = tmp_path / "qmp"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as asked:
                connection.sendall(pieces[0])
                for each in pieces[1:]:
                    asked.readline()
                    connection.sendall(each)
                asked.read()

        thread = threading.Thread(target=serve)
        thread.start()
        command = [sys.executable, str(QMP), str(path), '{"execute": "query-version"}']
        tool = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output, _ = finished(tool)
        thread.join(60)
    assert (tool.returncode, output) == (0, "")
