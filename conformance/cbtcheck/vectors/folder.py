"""Where the vectors are, and whether they are what the specification says now.

In a checkout they are in `conformance/vectors/`, in an installed package beside its modules. Everything there is
generated, but `README.md`, which says how to use them.
"""

from __future__ import annotations

import gzip
import io
import itertools
import tarfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cbtcheck.host.saving import write_whole
from cbtcheck.vectors import schema
from cbtcheck.vectors.format import VERSION, load, to_bytes
from cbtcheck.vectors.groups import GROUPS, group
from cbtcheck.vectors.record import VectorError

SCHEMA = f"vectors-{VERSION}.schema.json"
WRITTEN_BY_HAND = ("README.md", "LICENSE")
NEXT = "'cbtspec vectors' writes them anew; review the difference"

_CONFORMANCE = Path(__file__).resolve().parents[2]
CHECKOUT = _CONFORMANCE / "vectors"
INSTALLED = Path(__file__).resolve().parents[1] / "published_vectors"


def home() -> Path:
    """The folder that the vectors are in."""
    return CHECKOUT if CHECKOUT.is_dir() else INSTALLED


def generated() -> Iterator[tuple[str, bytes]]:
    """Every file that is generated, by its name, made anew."""
    yield SCHEMA, schema.to_bytes()
    for name in GROUPS:
        yield f"{name}.json", to_bytes(group(name))


def write(folder: Path) -> list[str]:
    """Writes all generated files; returns their names. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, content in generated():
        write_whole(folder / name, content)
        names.append(name)
    return names


def first_difference(folder: Path) -> str:
    """What differs first between a folder and what the specification says, in one line; "" if nothing does."""
    expected = dict(generated())
    for name, content in expected.items():
        path = folder / name
        if not path.is_file():
            return f"{path} is missing: {NEXT}"
        if path.read_bytes() != content:
            return f"{path}: {_in_file(path, content)}: {NEXT}"
    extra = sorted(each.name for each in folder.iterdir() if each.name not in (*expected, *WRITTEN_BY_HAND))
    return f"{folder / extra[0]} belongs to no group of vectors: remove it" if extra else ""


def _in_file(path: Path, content: bytes) -> str:
    """The first vector that differs, or what else is wrong."""
    if path.name == SCHEMA:
        return "the schema differs"
    try:
        load(path)
    except VectorError as problem:
        return str(problem).removeprefix(f"{path}: ")
    found, wanted = path.read_bytes().splitlines(), content.splitlines()
    for number, (old, new) in enumerate(itertools.zip_longest(found, wanted), 1):
        if old != new:
            return f"line {number}: {_named(old, new)}"
    return "the ends of its lines differ"


def _named(old: bytes | None, new: bytes | None) -> str:
    ids = [_id(each) for each in (old, new)]
    if ids[0] == ids[1]:
        return f"vector {ids[0]} differs" if ids[0] else "the head differs"
    return f"vector {ids[0] or 'none'} in place of {ids[1] or 'none'}"


def _id(line: bytes | None) -> str:
    """The id of the vector in a line; "" if there is none."""
    try:
        data = msgspec.json.decode((line or b"").rstrip(b","))
    except msgspec.DecodeError:
        return ""
    return str(data.get("id", "")) if isinstance(data, dict) else ""


def archive() -> bytes:
    """All files with README and licence as one .tar.gz; the same files always give the same bytes."""
    files = dict(generated())
    files["README.md"] = (home() / "README.md").read_bytes()
    beside = home() / "LICENSE"
    files["LICENSE"] = (beside if beside.is_file() else _CONFORMANCE.parent / "LICENSE").read_bytes()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(f"cbtspec-vectors-{VERSION}/{name}")
            entry.size, entry.mode = len(files[name]), 0o644
            tar.addfile(entry, io.BytesIO(files[name]))
    return gzip.compress(raw.getvalue(), compresslevel=9, mtime=0)
