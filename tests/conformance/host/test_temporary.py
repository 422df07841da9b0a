"""Temporary directories: what dead processes have left is swept, and what the living use is not."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cbtcheck.host import temporary
from waiting import run

MAKE = "from cbtcheck.host import temporary; print(temporary.make(), flush=True)"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def python(code: str, place: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(place)},
    )  # fmt: skip


def test_what_a_killed_process_has_left_is_swept_and_not_before(place: Path) -> None:
    with python(f"{MAKE}; input()", place) as other:
        assert other.stdout is not None
        path = other.stdout.readline().strip()
        (Path(path) / "more").mkdir()
        with temporary.directory():
            assert Path(path).is_dir()  # it lives
        other.kill()
        other.wait()
    assert Path(path).is_dir()
    with temporary.directory() as ours:
        assert not Path(path).exists()
        assert Path(ours).is_dir()
    assert list(place.iterdir()) == []


def test_a_directory_is_alive_while_anybody_uses_it(place: Path) -> None:
    with python(f"{MAKE}; input()", place) as maker:
        assert maker.stdout is not None
        path = maker.stdout.readline().strip()
        user = f"from cbtcheck.host import temporary; lock = temporary.join({path!r}); print(flush=True); input()"
        with python(user, place) as other:
            assert other.stdout is not None
            other.stdout.readline()
            maker.kill()
            maker.wait()
            assert temporary.sweep(str(place)) == []
            other.kill()
            other.wait()
    assert temporary.sweep(str(place)) == [path]


def test_the_last_one_removes_it_and_nobody_before(place: Path) -> None:
    path = temporary.make()
    lock = temporary.join(path)
    temporary.leave(path, lock)
    assert Path(path).is_dir()
    os.close(lock)
    temporary.remove(path)
    assert not Path(path).exists()


@pytest.mark.parametrize("what", ["without a lock", "of another name", "a link", "a file", "of another user"])
def test_what_is_not_certainly_ours_and_dead_is_left_alone(place: Path, monkeypatch, what: str) -> None:
    path = place / ("cbtspec-x" if what != "of another name" else "cbtspecx")
    if what == "a file":
        path.write_bytes(b"")
    elif what == "a link":
        (place / "elsewhere").mkdir()
        (place / "elsewhere" / temporary.LOCK).touch()
        path.symlink_to("elsewhere")
    else:
        path.mkdir()
        if what != "without a lock":
            (path / temporary.LOCK).touch()
    if what == "of another user":
        monkeypatch.setattr(os, "geteuid", lambda: path.lstat().st_uid + 1)
    assert temporary.sweep(str(place)) == []
    assert path.exists()


def test_a_directory_that_is_swept_before_it_is_locked_is_made_anew(place: Path, monkeypatch) -> None:
    locked, swept = temporary._locked, []

    def too_late(path: str, how: int) -> int:
        lock = locked(path, how)
        if not swept:
            swept.append(path)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert temporary.sweep(str(place)) == [path]
        return lock

    monkeypatch.setattr(temporary, "_locked", too_late)
    with temporary.directory() as path:
        assert path not in swept
        assert Path(path).is_dir()


def test_who_is_making_a_directory_waits_while_it_is_swept(place: Path, monkeypatch) -> None:
    """Else it would be told that it has one, which is gone a moment later."""
    path = temporary.make()
    os.close(temporary._held.pop(path))
    remove, held = shutil.rmtree, []

    def removing(at: str, **more: bool) -> None:
        lock = os.open(os.path.join(at, temporary.LOCK), os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.close(lock)
        held.append(at)
        remove(at, **more)

    monkeypatch.setattr(shutil, "rmtree", removing)
    assert temporary.sweep(str(place)) == held == [path]


def cbtspec(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cbtcheck", *words], capture_output=True, text=True, check=False, cwd="/",
        env=os.environ | {"TMPDIR": str(place)},
    )  # fmt: skip


QEMU = ("check", "qemu", "--examples", "1", "--only", "remove-bitmap", "--reports")


@pytest.mark.qemu
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_path_that_is_too_long_for_a_socket_is_said_so(tmp_path: Path, jobs: str) -> None:
    place = tmp_path / ("x" * 100)
    place.mkdir()
    done = cbtspec(place, *QEMU, str(tmp_path / "r"), "--jobs", jobs)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (64, "")
    assert line.endswith("set TMPDIR to a shorter one")
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("length", "fits"), [(105, True), (106, False)])
def test_how_long_a_path_may_be(length: int, fits: bool) -> None:
    assert (temporary.too_long("x" * length, "d") == "") is fits


@pytest.mark.qemu
def test_of_two_runs_what_the_killed_one_has_left_is_swept_and_no_more(tmp_path: Path) -> None:
    place = Path(tempfile.mkdtemp(prefix="t"))  # a short path, for sockets
    runs = []
    try:
        for number in range(2):
            run = subprocess.Popen(
                [sys.executable, "-m", "cbtcheck", "check", "qemu", "--reports", str(tmp_path / str(number))],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(place)},
            )  # fmt: skip
            runs.append((run, set(place.glob("cbtspec-*"))))
            while len(list(place.glob("cbtspec-*/q"))) <= number:
                assert run.poll() is None
        (killed, _), (living, of_killed) = runs
        assert of_killed
        killed.kill()
        killed.wait()
        with python("from cbtcheck.host import temporary; temporary.remove(temporary.make())", place) as other:
            assert other.wait() == 0
        left = set(place.glob("cbtspec-*"))
        assert not left & of_killed
        assert [each for each in left if (each / "q").exists()]
        assert living.poll() is None
        living.send_signal(signal.SIGINT)
        assert living.wait() == 130
        assert list(place.iterdir()) == []
    finally:
        for each, _ in runs:
            each.kill()
            each.wait()
        subprocess.run(["rm", "-rf", place], check=True)


def test_a_tmpdir_that_is_missing_is_said_and_not_replaced(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    command = [sys.executable, "-m", "cbtcheck", "check", "--jobs", "2", "--reports", str(tmp_path / "r")]
    done = run(command, env=os.environ | {"TMPDIR": str(missing)}, cwd=tmp_path)
    said = done.stderr.decode().strip().splitlines()
    assert (done.returncode, said) == (64, [
        f"cbtspec: the directory for temporary files, TMPDIR={missing}, is missing or cannot be written to"
    ])  # fmt: skip
