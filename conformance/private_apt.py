"""Debian's packages of one suite, got by apt with a configuration of its own, which changes nothing of the system."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
"""Where the system's own apt knows no mirror of Debian, or that one lacks a suite."""


@dataclass(frozen=True)
class Suite:
    """A suite of Debian: where its libraries are taken from, too, and the package that has the daemon."""

    name: str
    beside: tuple[str, ...] = ()
    package: str = "qemu-utils"


class CannotGet(Exception):
    """It could not be had; the message is one line."""


class TooOld(CannotGet):
    """What a mirror has is no longer valid, which is no fault of the network."""


class Apt:
    """apt for one suite, in a directory of its own: it has its own lists, and nothing is installed."""

    def __init__(self, suite: Suite, place: Path, mirror: str, architecture: str) -> None:
        self.suite, self.place, self.architecture = suite, place, architecture
        for each in ("etc", "state/lists/partial", "cache/archives/partial", "log"):
            (place / each).mkdir(parents=True)
        for name in ("status", "etc/none"):
            (place / name).touch()
        of_suites = "".join(
            f"deb [signed-by={KEYS} arch={architecture}] {mirror} {name} main\n"
            for name in dict.fromkeys([suite.name, *suite.beside])
        )
        (place / "etc/sources.list").write_text(of_suites)
        (place / "apt.conf").write_text(configuration(place, proxies()))

    def run(self, *command: str) -> str:
        """What a command of apt prints. Raises `CannotGet`, with the first error that it tells."""
        environment = {**os.environ, "APT_CONFIG": str(self.place / "apt.conf"), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            command, env=environment, cwd=self.place, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", check=False,
        )  # fmt: skip
        if done.returncode != 0:
            error = first_error(done.stderr) or f"{' '.join(command[:2])} failed ({done.returncode})"
            raise (TooOld if " is expired " in error else CannotGet)(error)
        return done.stdout

    def update(self) -> None:
        """Fetches what there is. Raises `CannotGet`, also if only a part of it can be had; `TooOld`."""
        self.run("apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any")
        for name in (self.suite.name, *self.suite.beside):
            if not any((self.place / "state/lists").glob(f"*_dists_{name}_*Packages*")):
                raise CannotGet(f"there is no list of the packages of {name}")

    @functools.cached_property
    def version(self) -> str:
        """The version of the package in this suite, and in none beside it. Raises `CannotGet` if there is none."""
        for line in self.run("apt-cache", "madison", self.suite.package).splitlines():
            _, version, source = (each.strip() for each in line.split("|"))
            if f" {self.suite.name}/main " in source:
                return version
        raise CannotGet(f"{self.suite.name} has no package {self.suite.package}")

    def install(self, *how: str) -> None:
        """Installs the package, as far as `how` says. Raises `CannotGet`."""
        what = f"{self.suite.package}={self.version}"
        self.run("apt-get", "install", "-q", "-y", "--no-install-recommends", "-t", self.suite.name, *how, what)

    def downloaded(self) -> list[Path]:
        """The package and all that it depends on, verified by apt."""
        self.install("--download-only")
        found = sorted((self.place / "cache/archives").glob("*.deb"))
        if not found:
            raise CannotGet("apt has fetched nothing")
        return found


def configuration(place: Path, more: str) -> str:
    """A whole configuration: nothing of the system's is read, so none of its hooks is run."""
    return f"""\
Dir::Etc "{place}/etc";
Dir::Etc::main "none";
Dir::Etc::parts "none.d";
Dir::Etc::sourceparts "none.d";
Dir::State "{place}/state";
Dir::State::status "{place}/status";
Dir::Cache "{place}/cache";
Dir::Log "{place}/log";
APT::Sandbox::User "root";
APT::Install-Suggests "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::AllowInsecureRepositories "false";
{more}"""


def proxies() -> str:
    """How the system's apt gets through to the world, as lines of a configuration."""
    done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, errors="replace", check=False)
    through = re.compile(r"Acquire::(https?::|ForceIPv)[^ ]* \".*\";")
    return "".join(f"{line}\n" for line in done.stdout.splitlines() if through.fullmatch(line))


def mirrors() -> list[str]:
    """Where to ask, first where the system's own apt gets Debian from."""
    known = re.compile(r"(https?://\S+/debian)/? (buster|bullseye|bookworm|trixie|forky|sid|\w*stable|testing)\S*")
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    own = [found[1] for line in done.stdout.splitlines() if (found := known.fullmatch(line))]
    return list(dict.fromkeys([*own, MIRROR]))


def first_error(said: str) -> str:
    """The first line of apt's that is an error, without its mark."""
    errors = [line for line in said.splitlines() if line.startswith("E:")]
    warnings = [line for line in said.splitlines() if line.startswith("W:")]
    vague = "Some index files failed to download"
    first = next((line for line in [*errors, *warnings] if vague not in line), "")
    return first[2:].strip()


def by_version(one: Apt, other: Apt) -> int:
    """1 if the first is newer, -1 if it is older, else 0."""
    for order, found in (("gt", 1), ("lt", -1)):
        command = ["dpkg", "--compare-versions", one.version, order, other.version]
        if subprocess.run(command, check=False).returncode == 0:
            return found
    return 0


def asked_about(suite: Suite, place: Path, architecture: str) -> Apt:
    """An apt that knows what there is in a suite. Raises `CannotGet`, with what the last mirror said."""
    problem = CannotGet(suite.name)
    for number, mirror in enumerate(mirrors()):
        apt = Apt(suite, place / f"{suite.name}-{number}", mirror, architecture)
        try:
            apt.update()
            _ = apt.version
        except CannotGet as failed:
            problem = failed
        else:
            return apt
    raise problem


def this_architecture() -> str:
    """Debian's name for the architecture of this machine."""
    asked = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    return asked.stdout.strip()
