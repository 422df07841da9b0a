"""Checks of what comes through the door, before any command looks at the state.

As QEMU's schema does (qemu-facts.md 2.8): a wrong type or an unknown word is `Invalid`, never a crash.
`bool` is no number here, although Python says so.
"""

from collections.abc import Sequence

from cbtimpl.errors import Invalid
from cbtimpl.storage import Disk

SYNC_MODES = ("full", "incremental", "bitmap")
BITMAP_MODES = ("on-success", "never", "always")
ERROR_POLICIES = ("report", "ignore", "stop")
SIDES = ("source", "target")
LARGEST = 2**63 - 1
LONGEST_NAME = 1023
"""Bytes of UTF-8 (qemu-facts.md 1.4)."""


def text(parameter: str, value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise Invalid(f"Invalid parameter type for '{parameter}', expected: string")
    return value


def flag(parameter: str, value: object) -> bool:
    """A Boolean."""
    if not isinstance(value, bool):
        raise Invalid(f"Invalid parameter type for '{parameter}', expected: boolean")
    return value


def number(parameter: str, value: object) -> int:
    """A whole number, 0 to 2^63 - 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(f"Invalid parameter type for '{parameter}', expected: integer")
    if not 0 <= value <= LARGEST:
        raise Invalid(f"Parameter '{parameter}' expects a number from 0 to {LARGEST}")
    return value


def numbers(**values: object) -> None:
    """Each of them is such a number: looked at before anything is looked up, as a schema does."""
    for parameter, value in values.items():
        number(parameter, value)


def choice(parameter: str, value: object, choices: Sequence[str]) -> str:
    """One of the words of an enumeration."""
    word = text(parameter, value)
    if word not in choices:
        raise Invalid(f"Parameter '{parameter}' does not accept value '{word}'")
    return word


def uint32(parameter: str, value: object) -> int:
    """A number below 2^32, with the texts of qemu-facts.md 1.3."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(f"Parameter '{parameter}' expects uint64")
    if not 0 <= value < 2**32:
        raise Invalid(f"Parameter '{parameter}' expects uint32_t")
    return value


def disk(parameter: str, value: object) -> Disk:
    """Something that holds data."""
    if not isinstance(value, Disk):
        raise Invalid(f"Invalid parameter type for '{parameter}', expected: Disk")
    return value


def content(value: object) -> bytes:
    """What a guest writes."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise Invalid("Invalid parameter type for 'data', expected: bytes")
    return bytes(value)


def io_error(value: object) -> OSError | None:
    """An errno that the caller says a request failed with; None: it succeeded."""
    if value is None:
        return None
    errno = number("error", value)
    if errno == 0:
        raise Invalid("Parameter 'error' expects an errno, not 0")
    return OSError(errno, f"I/O error {errno}")


def on_disk(offset: object, length: object, size: int) -> tuple[int, int]:
    """A range of bytes that lies on a disk of `size` bytes."""
    start, taken = number("offset", offset), number("length", length)
    if start + taken > size:
        raise Invalid(f"The range of {taken} bytes at {start} ends after the disk of {size} bytes")
    return start, taken
