"""The script that gets a qemu-storage-daemon: what is kept, what is left out, and that nothing is half done.

One test gets a real one, where there are apt and a network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import get_qemu
import private_apt
import pytest
from get_qemu import PROGRAM, WANTED, Suite, got, kept, listed, main
from private_apt import Apt, CannotGet, TooOld

SCRIPT = Path(get_qemu.__file__)
PYTHON = getattr(sys, "_base_executable", sys.executable)
"""One that knows nothing of this project."""


class Asked:
    """Stands for an apt of which all is known."""

    architecture = "amd64"

    def __init__(self, suite: Suite, version: str, installs: bool = True) -> None:
        self.suite, self.version, self.installs = suite, version, installs

    def install(self, *how: str) -> None:
        if not self.installs:
            raise CannotGet("unmet dependencies")

    def downloaded(self) -> list[Path]:
        return []


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What is in each suite; gives the list of what was unpacked."""
    made: list[str] = []

    def has(**suites: Asked | CannotGet) -> list[str]:
        def asked_about(suite: Suite, place: Path, architecture: str) -> Asked:
            one = suites[suite.name.replace("-", "_")]
            if isinstance(one, CannotGet):
                raise one
            return one

        monkeypatch.setattr(get_qemu, "asked_about", asked_about)
        return made

    def unpacked(packages: list[Path], place: Path) -> Path:
        place.mkdir()
        (place / PROGRAM).write_text("#!/bin/sh\n")
        (place / PROGRAM).chmod(0o755)
        made.append(place.parent.name)
        return place

    monkeypatch.setattr(get_qemu, "unpacked", unpacked)
    monkeypatch.setattr(get_qemu, "check_tools", lambda: None)
    monkeypatch.setattr(get_qemu, "this_architecture", lambda: "amd64")
    monkeypatch.setattr(get_qemu, "by_version", lambda one, other: (one.version > other.version) * 2 - 1)
    return has


TRIXIE = Asked(get_qemu.TRIXIE, "1:10.0.13+ds-0+deb13u1")


def newest_has(**others: Asked | CannotGet) -> dict[str, Asked | CannotGet]:
    backports = Asked(Suite("trixie-backports"), "1:11.1.3+ds-1~bpo13+1")
    gone = TooOld("expired")
    return {"sid": gone, "forky": gone, "trixie_backports": backports, "trixie": TRIXIE} | others


def names(cache: Path) -> list[str]:
    return sorted(each.name for each in cache.iterdir())


# What is kept


def test_it_is_got_once(cache: Path, registry: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    made = registry(trixie=TRIXIE)
    assert main(["debian13", "--cache", str(cache)]) == 0
    first = capsys.readouterr().out
    assert main(["debian13", "--cache", str(cache)]) == 0
    assert capsys.readouterr().out == first == f"{cache}/trixie_amd64_10.0.13+ds-0+deb13u1/{PROGRAM}\n"
    assert len(made) == 1
    assert names(cache) == [".lock", "debian13", "trixie_amd64_10.0.13+ds-0+deb13u1"]


def test_what_was_got_needs_neither_network_nor_apt(cache: Path, registry: Callable[..., list[str]]) -> None:
    registry(trixie=TRIXIE)
    program = got("debian13", cache, False)
    command = [PYTHON, SCRIPT, "debian13", "--cache", cache]
    done = subprocess.run(command, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{program}\n", "")


def test_an_update_is_asked_for(cache: Path, registry: Callable[..., list[str]]) -> None:
    made = registry(trixie=TRIXIE)
    old = got("debian13", cache, False)
    registry(trixie=Asked(get_qemu.TRIXIE, "1:10.0.14"))
    assert got("debian13", cache, False) == old
    new = got("debian13", cache, True)
    assert new == kept("debian13", cache) != old
    assert old.exists()  # perhaps it runs just now
    assert got("debian13", cache, True) == new
    assert len(made) == 2
    registry(trixie=CannotGet("the network is down"))
    with pytest.raises(CannotGet, match="the network is down"):
        got("debian13", cache, True)
    assert kept("debian13", cache) == new


def test_two_at_a_time_get_it_once(cache: Path, registry: Callable[..., list[str]]) -> None:
    made = registry(trixie=TRIXIE)
    found: list[Path] = []
    with get_qemu.alone(cache):
        both = [threading.Thread(target=lambda: found.append(got("debian13", cache, False))) for _ in range(2)]
        for each in both:
            each.start()
    for each in both:
        each.join()
    assert len(made) == 1
    assert found == [kept("debian13", cache)] * 2


@pytest.mark.parametrize("how", [KeyboardInterrupt, CannotGet("no"), OSError(28, "No space left on device", "x")])
def test_what_was_interrupted_leaves_nothing(
    cache: Path, registry: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, how: BaseException
) -> None:
    def half(packages: list[Path], place: Path) -> Path:
        place.mkdir()
        (place / PROGRAM).touch(0o755)
        raise how

    registry(trixie=TRIXIE)
    unpacked = get_qemu.unpacked
    monkeypatch.setattr(get_qemu, "unpacked", half)
    assert main(["debian13", "--cache", str(cache)]) == (130 if how is KeyboardInterrupt else 1)
    assert names(cache) == [".lock"]
    monkeypatch.setattr(get_qemu, "unpacked", unpacked)
    assert main(["debian13", "--cache", str(cache)]) == 0


def test_what_one_that_was_killed_has_left_is_removed(cache: Path, registry: Callable[..., list[str]]) -> None:
    registry(trixie=TRIXIE)
    (cache / ".partial-killed/made").mkdir(parents=True)
    (cache / ".partial-debian13").symlink_to("nowhere")
    assert kept("debian13", cache) is None
    got("debian13", cache, False)
    assert names(cache) == [".lock", "debian13", "trixie_amd64_10.0.13+ds-0+deb13u1"]


def test_what_is_there_is_listed(cache: Path, registry: Callable[..., list[str]]) -> None:
    registry(trixie=TRIXIE)
    program = got("debian13", cache, False)
    lines = {line.split()[0]: line for line in listed(cache)}
    assert lines.keys() == WANTED.keys()
    assert lines["debian13"].endswith(str(program))
    assert lines["newest"].endswith("not got yet")


def test_a_directory_that_a_loader_would_split(tmp_path: Path, registry: Callable[..., list[str]]) -> None:
    registry(trixie=TRIXIE)
    with pytest.raises(CannotGet, match="because of its ':'"):
        got("debian13", tmp_path / "a:b", False)


# Which one


def test_the_newest_is_that_with_the_highest_version(cache: Path, registry: Callable[..., list[str]]) -> None:
    registry(**newest_has())
    assert "11.1.3" in str(got("newest", cache, False))
    registry(**newest_has(sid=Asked(Suite("sid"), "1:12.0.0+ds-1")))
    assert "sid_amd64_12.0.0" in str(got("newest", cache, True))


def test_what_cannot_be_installed_is_left_out_and_told(
    cache: Path, registry: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    registry(**newest_has(sid=Asked(Suite("sid"), "1:12.0.0+ds-1", installs=False)))
    assert "11.1.3" in str(got("newest", cache, False))
    said = capsys.readouterr().err
    assert "sid is left out: unmet dependencies" in said
    assert "forky is left out: expired" in said


def test_a_suite_that_cannot_be_asked_is_an_error(cache: Path, registry: Callable[..., list[str]]) -> None:
    """An older one in its place would be taken for the newest."""
    registry(**newest_has(trixie_backports=CannotGet("Connection timed out")))
    with pytest.raises(CannotGet, match="Connection timed out"):
        got("newest", cache, False)


def test_nothing_at_all(cache: Path, registry: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    registry(trixie=TooOld("it is expired"))
    assert main(["debian13", "--cache", str(cache)]) == 1
    assert capsys.readouterr().err == "get_qemu: trixie is left out: it is expired\n"


# What a caller may get wrong


@pytest.mark.parametrize("words", [[], ["debian11"], ["debian13", "--list"]])
def test_wrong_arguments(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert "newest" in capsys.readouterr().err


def test_without_apt_it_says_what_to_do(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(cache))
    assert main(["newest", "--cache", str(cache)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "there is no apt-get here" in line
    assert "--qemu-storage-daemon" in line
    assert not cache.exists()


def test_where_nothing_can_be_written(tmp_path: Path, registry: Callable[..., list[str]], capsys) -> None:
    registry(trixie=TRIXIE)
    (tmp_path / "file").touch()
    assert main(["debian13", "--cache", str(tmp_path / "file")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "file") in line


@pytest.mark.parametrize(
    ("xdg", "home", "expected"),
    [
        ("/x/cache", "/home/me", "/x/cache/cbtspec/qemu"),
        ("", "/home/me", "/home/me/.cache/cbtspec/qemu"),
        ("relative", "/home/me", "/home/me/.cache/cbtspec/qemu"),
    ],
)
def test_the_usual_cache(monkeypatch: pytest.MonkeyPatch, xdg: str, home: str, expected: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    monkeypatch.setenv("HOME", home)
    assert str(get_qemu.usual_cache()) == expected


# apt


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Programs that print something, in place of the system's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def prints(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        (folder / name).chmod(0o755)

    return prints


def test_the_systems_own_mirror_is_asked_first(tools: Callable[[str, str], None]) -> None:
    tools("apt-get", "http://security.ubuntu.com/ubuntu/ noble\n"
                     "https://mirror.example/debian/ bookworm-updates\nhttps://mirror.example/debian/ bookworm\n"
                     "file:/srv/debian/ bookworm\nhttps://mirror.example/tool/debian/ xenial")  # fmt: skip
    assert private_apt.mirrors() == ["https://mirror.example/debian", private_apt.MIRROR]


def test_of_the_systems_configuration_only_the_way_through_is_taken(tools: Callable[[str, str], None]) -> None:
    tools("apt-config", 'Acquire::http::Proxy "http://proxy.example:3128";\nAcquire::https::Verify-Peer "false\n'
                        'APT::Update::Post-Invoke:: "rm -rf /";\nAcquire::AllowInsecureRepositories "1";\n'
                        'Acquire::Check-Valid-Until "0";')  # fmt: skip
    assert private_apt.proxies() == 'Acquire::http::Proxy "http://proxy.example:3128";\n'


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="there is no apt-get")
def test_what_nobody_has_signed_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = tmp_path / "mirror/dists/trixie"
    (release / "main/binary-amd64").mkdir(parents=True)
    (release / "Release").write_text("Suite: trixie\nCodename: trixie\nComponents: main\nArchitectures: amd64\n")
    (release / "main/binary-amd64/Packages").touch()
    apt = Apt(Suite("trixie"), tmp_path / "apt", f"file:{tmp_path}/mirror", "amd64")
    with pytest.raises(CannotGet, match="is not signed"):
        apt.update()


def test_the_first_error_is_told() -> None:
    said = "W: one\nE: Some index files failed to download.\nE: Failed to fetch x  404\nE: more\n"
    assert private_apt.first_error(said) == "Failed to fetch x  404"
    said = "W: Failed to fetch y\nE: Some index files failed to download."
    assert private_apt.first_error(said) == "Failed to fetch y"
    assert private_apt.first_error("") == ""


# What was unpacked


def made_of(folder: Path, listing: str, version: str = f"{PROGRAM} version 99", code: int = 0) -> Path:
    """An unpacked daemon; its loader says what it is told to."""
    for name in ("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", f"usr/bin/{PROGRAM}"):
        (folder / "root" / name).parent.mkdir(parents=True)
        (folder / "root" / name).touch()
    loader = folder / "root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    says = f"case \"$*\" in *--list*) echo '{listing}';; *) echo '{version}'; exit {code};; esac"
    loader.write_text(f"#!/bin/sh\n{says}\n")
    loader.chmod(0o755)
    (folder / PROGRAM).write_text(get_qemu.wrapper(folder / "root"))
    (folder / PROGRAM).chmod(0o755)
    return folder


def test_a_library_of_the_system_is_noticed(tmp_path: Path) -> None:
    own = f"libc.so.6 => {tmp_path}/right/root/usr/lib/libc.so.6 (0x1)"
    get_qemu.check(made_of(tmp_path / "right", own))
    for name, listing, words in (
        ("foreign", "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x1)", "lack /lib/x86_64-linux-gnu/libc.so.6"),
        ("missing", "libfuse3.so.4 => not found", "lack libfuse3.so.4"),
    ):
        with pytest.raises(CannotGet, match=words):
            get_qemu.check(made_of(tmp_path / name, listing))
    with pytest.raises(CannotGet, match="does not run here"):
        get_qemu.check(made_of(tmp_path / "wrong", own.replace("right", "wrong"), code=1))


def test_packages_without_a_daemon(tmp_path: Path) -> None:
    with pytest.raises(CannotGet, match="have no loader"):
        get_qemu.wrapper(tmp_path)


def test_a_real_one(tmp_path: Path) -> None:
    """With an empty home, and nothing but what the script needs. Moved elsewhere the program still runs."""
    command = [PYTHON, SCRIPT, "debian13"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | {
        name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 1 and os.environ.get("CBTSPEC_REQUIRE_QEMU") != "1":
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    program = Path(done.stdout.strip())
    assert program.is_relative_to(tmp_path / ".cache/cbtspec/qemu")
    moved = program.parent.rename(tmp_path / "moved") / PROGRAM
    said = subprocess.run([moved, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{PROGRAM} version 10.")
