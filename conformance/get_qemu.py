#!/usr/bin/env python3
"""Gets a qemu-storage-daemon of another release than the system's, and prints the path of the program.

    ./run check qemu --qemu-storage-daemon "$(conformance/get_qemu.py newest)"

It is unpacked from Debian's binary packages, with the loader and all libraries of the same release, so that it does
not matter how old the system's are. apt fetches the packages and checks their signatures, with a configuration of its
own: nothing of the system is changed, and an ordinary user may do it. What was got is kept, and is used again without
a network; --update asks whether there is a newer one.

Exit codes: 0 the program runs, and its path is on standard output; 1 it could not be had, and one line says why;
2 wrong arguments; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from private_apt import KEYS, Apt, CannotGet, Suite, TooOld, asked_about, by_version, this_architecture

PROGRAM = "qemu-storage-daemon"
PARTIAL = ".partial-"

BOOKWORM = Suite("bookworm", package="qemu-system-common")
TRIXIE = Suite("trixie")
NEWEST = (Suite("sid"), Suite("forky"), Suite("trixie-backports", ("trixie",)), TRIXIE)
WANTED = {"debian12": (BOOKWORM,), "debian13": (TRIXIE,), "newest": NEWEST}
"""What can be asked for, and the suites that may have it: the highest version counts."""

WRAPPER = """\
#!/bin/sh
# The daemon with the loader and the libraries of its own release.
root=$(dirname "$(readlink -f "$0")")/root
QEMU_MODULE_DIR=$root/{modules} exec "$root/{loader}" --inhibit-cache --library-path "{libraries}" {more}\\
  "$root/{daemon}" "$@"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    asked = parsed(arguments)
    try:
        if asked.list:
            for line in listed(asked.cache):
                print(line)
            return 0
        print(got(asked.release, asked.cache, asked.update))
    except CannotGet as problem:
        print(f"get_qemu: {problem}", file=sys.stderr)
        return 1
    except OSError as problem:
        print(f"get_qemu: {problem.filename or 'the system'}: {problem.strerror or problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(
        prog="get_qemu.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("release", nargs="?", choices=[*WANTED], help="which one to get")
    parser.add_argument("--update", action="store_true", help="ask for a newer one than that which was got before")
    parser.add_argument("--list", action="store_true", help="list what was got before, and get nothing")
    parser.add_argument("--cache", type=Path, metavar="DIR", default=usual_cache(),
                        help="where it is kept (default: %(default)s)")  # fmt: skip
    asked = parser.parse_args(arguments)
    asked.cache = asked.cache.absolute()
    if asked.list is (asked.release is not None):
        parser.error(f"name one of {', '.join(WANTED)}, or --list")
    return asked


# What was got before


def usual_cache() -> Path:
    """In the user's cache, as XDG has it: an absolute `XDG_CACHE_HOME`, else `~/.cache`."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    with contextlib.suppress(RuntimeError):  # no home
        base = base if base.is_absolute() else Path("~/.cache").expanduser()
    return (base if base.is_absolute() else Path(tempfile.gettempdir())) / "cbtspec" / "qemu"


def kept(release: str, cache: Path) -> Path | None:
    """The program of a release, if it was got before and can be executed."""
    program = (cache / release / PROGRAM).resolve()
    return program if os.access(program, os.X_OK) and program.is_file() else None


def listed(cache: Path) -> Iterator[str]:
    """A line for each release."""
    for release in WANTED:
        program = kept(release, cache)
        yield f"{release:<10} {'not got yet' if program is None else f'{program.parent.name:<32} {program}'}"


@contextlib.contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Nobody else gets anything into this cache meanwhile; what others have left half done is removed."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for each in cache.glob(f"{PARTIAL}*"):
            shutil.rmtree(each, ignore_errors=True) if each.is_dir() and not each.is_symlink() else each.unlink()
        yield


def got(release: str, cache: Path, update: bool) -> Path:
    """The program of a release. Raises `CannotGet`, and `OSError` where the cache cannot be written."""
    before = kept(release, cache)
    if before is not None and not update:
        return before
    check_tools()
    if odd := set(str(cache)) & set(':;$"\n'):
        raise CannotGet(f"the loader cannot find libraries below {cache}, because of its {odd.pop()!r}; see --cache")
    with alone(cache):
        before = kept(release, cache)  # perhaps somebody else has got it meanwhile
        if before is not None and not update:
            return before
        with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=cache) as place:
            apt = newest(WANTED[release], Path(place))
            directory = cache / f"{apt.suite.name}_{apt.architecture}_{named(apt.version)}"
            if not os.access(directory / PROGRAM, os.X_OK):
                say(f"getting {PROGRAM} {apt.version} of {apt.suite.name}")
                made = unpacked(apt.downloaded(), Path(place) / "made")
                shutil.rmtree(directory, ignore_errors=True)
                made.rename(directory)
        point(cache / release, directory)
    program = kept(release, cache)
    if program is None:
        raise CannotGet(f"{directory} has gone again")
    return program


def named(version: str) -> str:
    """A version as a name of a directory: without its epoch, and with nothing that a loader takes for a separator."""
    return re.sub(r"[^A-Za-z0-9.+-]", "-", version.partition(":")[2] or version)


def point(link: Path, directory: Path) -> None:
    """The name of a release is a link to what is the latest of it; whoever reads it sees the old one or the new."""
    fresh = link.with_name(f"{PARTIAL}{link.name}")
    fresh.symlink_to(directory.name)
    fresh.replace(link)


def check_tools() -> None:
    """What is needed is there. Raises `CannotGet`, with what to do."""
    own = f"give a {PROGRAM} of your own with --qemu-storage-daemon"
    for tool in ("apt-get", "apt-cache", "apt-config", "dpkg-deb", "dpkg"):
        if shutil.which(tool) is None:
            raise CannotGet(f"there is no {tool} here; run this on Debian or Ubuntu, or {own}")
    if not os.path.exists(KEYS):
        raise CannotGet(f"{KEYS} is missing; install the package debian-archive-keyring, or {own}")


# Which one


def newest(suites: Sequence[Suite], place: Path) -> Apt:
    """The suite with the highest version of which all that it depends on is there, too. Raises `CannotGet`.

    Suites that are left out, because a mirror is too old or something is missing there just now, are told. That one
    cannot be asked about is an error: its version could be higher.
    """
    found, problems = [], []
    for suite in suites:
        try:
            found.append(asked_about(suite, place, this_architecture()))
        except TooOld as problem:
            problems.append(f"{suite.name} is left out: {problem}")
    for apt in sorted(found, key=functools.cmp_to_key(by_version), reverse=True):
        try:
            apt.install("--simulate")
        except CannotGet as problem:
            problems.append(f"{apt.suite.name} is left out: {problem}")
        else:
            for each in problems:
                say(each)
            return apt
    raise CannotGet("; ".join(problems))


# Unpacking


def unpacked(packages: Sequence[Path], made: Path) -> Path:
    """The packages in `made`, with a program beside them that runs. Raises `CannotGet`."""
    root = made / "root"
    root.mkdir(parents=True)
    for each in packages:
        done = subprocess.run(["dpkg-deb", "-x", each, root], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotGet(f"{each.name} cannot be unpacked: {first_line(done.stderr)}")
    (made / "packages").write_text("".join(f"{each.name}\n" for each in packages))
    (made / PROGRAM).write_text(wrapper(root))
    (made / PROGRAM).chmod(0o755)
    check(made)
    return made


def check(made: Path) -> None:
    """The program runs, and takes no library from anywhere else. Raises `CannotGet`."""
    listing = made / "listing"
    listing.write_text(wrapper(made / "root", "--list "))
    listing.chmod(0o755)
    done = subprocess.run([listing], capture_output=True, text=True, errors="replace", check=False)
    listing.unlink()
    strangers = [
        path for path in re.findall(r"=> (\S.*) \(0x", done.stdout) if made / "root" not in Path(path).parents
    ]
    if done.returncode != 0 or "not found" in done.stdout or strangers:
        missing = re.findall(r"(\S+) => not found", done.stdout)
        raise CannotGet(f"the packages lack {', '.join([*missing, *strangers]) or first_line(done.stderr)}")
    done = subprocess.run(
        [made / PROGRAM, "--version"], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0 or not done.stdout.startswith(PROGRAM):
        raise CannotGet(f"what was unpacked does not run here: {first_line(done.stderr) or done.returncode}")


def wrapper(root: Path, more: str = "") -> str:
    """The text of the program that starts the daemon. Raises `CannotGet` if something is missing."""
    patterns = ("usr/lib/*/ld-linux*.so.*", "lib/*/ld-linux*.so.*", "usr/lib/*/ld64.so.*", "lib/*/ld64.so.*")
    loaders = [each for pattern in patterns for each in root.glob(pattern)]
    if not loaders or not (root / f"usr/bin/{PROGRAM}").exists():
        raise CannotGet(f"the packages have no {PROGRAM if loaders else 'loader'}")
    triplet = loaders[0].parent.name
    libraries = [each for each in (f"lib/{triplet}", f"usr/lib/{triplet}") if (root / each).is_dir()]
    return WRAPPER.format(
        modules=f"usr/lib/{triplet}/qemu",
        loader=loaders[0].relative_to(root),
        libraries=":".join(f"$root/{each}" for each in libraries),
        more=more,
        daemon=f"usr/bin/{PROGRAM}",
    )


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def say(line: str) -> None:
    """What is going on, on standard error."""
    print(f"get_qemu: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
