"""A result of `cbtspec prove` that is kept: all that it depends on is unchanged, so it is the result.

Only what was proved is kept, and only when a run has come to its end. What it depends on is all source code of the
specification, the implementation, the proofs and the suite, byte by byte; Python and Z3; and what was asked for. Of
that there is a digest. A file that is broken, or has another digest, is as good as none.

It is for people who ask twice. Whoever must know proves it anew: CI, and whoever applies mutants.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import z3
from cbtproofs.mutants.mutant import is_one_applied

from cbtcheck.host.saving import write_whole

FORMAT = "cbtspec-kept-proof"
VERSION = 1
SOURCES = ("cbtcheck", "cbtimpl", "cbtmodel", "cbtproofs", "cbtwire")


class Kept(msgspec.Struct, frozen=True):
    """A result: the report as JSON data, what it depends on, when it was proved (UTC, ISO 8601), and a checksum."""

    format: str
    version: int
    digest: str
    proved_at: str
    report: dict[str, Any]
    checksum: str


def digest(only: str | None) -> str:
    """Of all that the result depends on, as it is now."""
    of = hashlib.sha256()
    for each in (sys.version, platform.machine(), z3.get_full_version(), str(only), *_sources()):
        raw = each.encode() if isinstance(each, str) else each
        of.update(len(raw).to_bytes(8, "big") + raw)
    return of.hexdigest()


def _sources() -> Iterator[str | bytes]:
    for package in SOURCES:
        for root in sorted(import_module(package).__path__):
            for path in sorted(Path(root).rglob("*.py")):
                yield f"{package} {path.relative_to(root).as_posix()}"
                yield path.read_bytes()


def place(only: str | None) -> Path:
    """Where it is kept: in the user's cache, one file for each theorem that was asked for."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    cache_home = Path(home) if os.path.isabs(home) else Path("~/.cache").expanduser()
    name = "all" if only is None else hashlib.sha256(only.encode()).hexdigest()[:16]
    return cache_home / "cbtspec" / f"proved-{name}.json"


def read(only: str | None) -> Kept | None:
    """The result that is kept; None if there is none that can be trusted, or a mutant is applied."""
    if is_one_applied():
        return None
    try:
        kept = msgspec.json.decode(place(only).read_bytes(), type=Kept)
    except (OSError, RuntimeError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    right = (FORMAT, VERSION, digest(only)) == (kept.format, kept.version, kept.digest)
    whole = kept.checksum == _checksum(kept.proved_at, kept.report)
    return kept if right and whole and kept.report.get("proved") is True else None


def write(only: str | None, report: dict[str, Any], of: str) -> None:
    """Keeps a result, if all is proved and it can be written; that it cannot is no failure.

    `of` is the digest from before the run: if a file was changed since, nobody knows what was proved.
    """
    if report["proved"] is not True or is_one_applied() or of != digest(only):
        return
    proved_at = datetime.now(UTC).isoformat(timespec="seconds")
    kept = Kept(FORMAT, VERSION, of, proved_at, report, _checksum(proved_at, report))
    with suppress(OSError, RuntimeError):
        place(only).parent.mkdir(parents=True, exist_ok=True)
        write_whole(place(only), msgspec.json.encode(kept))


def _checksum(proved_at: str, report: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode([proved_at, report], order="sorted")).hexdigest()
