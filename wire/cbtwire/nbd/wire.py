"""The NBD protocol's numbers and layouts, shared by our server and our client.

Contract: constants are the protocol's own values, named after the specification without its ``NBD_``
prefix. Every integer on the wire is big-endian and unsigned. Offsets and lengths are bytes. Nothing here
does I/O or keeps state.
"""

from struct import Struct
from typing import Final

# --- handshake (fixed newstyle) -------------------------------------------------------------------------

INITIAL_MAGIC: Final = 0x4E42444D41474943
OPTION_MAGIC: Final = 0x49484156454F5054
OPTION_REPLY_MAGIC: Final = 0x0003E889045565A9

HANDSHAKE_FIXED_NEWSTYLE: Final = 1
HANDSHAKE_NO_ZEROES: Final = 2

OPTION_EXPORT_NAME: Final = 1
OPTION_ABORT: Final = 2
OPTION_LIST: Final = 3
OPTION_INFO: Final = 6
OPTION_GO: Final = 7
OPTION_STRUCTURED_REPLY: Final = 8
OPTION_SET_META_CONTEXT: Final = 10

REPLY_ACKNOWLEDGE: Final = 1
REPLY_SERVER: Final = 2
REPLY_INFO: Final = 3
REPLY_META_CONTEXT: Final = 4
REPLY_ERROR_BIT: Final = 1 << 31
REPLY_ERROR_UNSUPPORTED: Final = REPLY_ERROR_BIT | 1
REPLY_ERROR_INVALID: Final = REPLY_ERROR_BIT | 3
REPLY_ERROR_UNKNOWN: Final = REPLY_ERROR_BIT | 6

INFO_EXPORT: Final = 0
INFO_BLOCK_SIZE: Final = 3

GREETING: Final = Struct(">QQH")
"""initial magic, option magic, handshake flags."""
CLIENT_FLAGS: Final = Struct(">I")
OPTION_HEADER: Final = Struct(">QII")
"""option magic, option, length of the data that follows."""
OPTION_REPLY_HEADER: Final = Struct(">QIII")
"""option reply magic, option, reply type, length of the data that follows."""
LENGTH_PREFIX: Final = Struct(">I")
COUNT_16: Final = Struct(">H")
INFO_EXPORT_BODY: Final = Struct(">HQH")
"""INFO_EXPORT, size of the export in bytes, transmission flags."""
INFO_BLOCK_SIZE_BODY: Final = Struct(">HIII")
"""INFO_BLOCK_SIZE, minimum, preferred and maximum block size in bytes."""
EXPORT_NAME_ANSWER: Final = Struct(">QH")
"""size of the export in bytes, transmission flags (the answer to OPTION_EXPORT_NAME)."""

MAXIMUM_OPTION_LENGTH: Final = 1 << 16
"""Longest option data that we read; longer is a malformed peer."""

# --- transmission ---------------------------------------------------------------------------------------

FLAG_HAS_FLAGS: Final = 1 << 0
FLAG_SEND_FLUSH: Final = 1 << 2
FLAG_SEND_FUA: Final = 1 << 3
FLAG_SEND_TRIM: Final = 1 << 5
FLAG_SEND_WRITE_ZEROES: Final = 1 << 6

COMMAND_READ: Final = 0
COMMAND_WRITE: Final = 1
COMMAND_DISCONNECT: Final = 2
COMMAND_FLUSH: Final = 3
COMMAND_TRIM: Final = 4
COMMAND_WRITE_ZEROES: Final = 6
COMMAND_BLOCK_STATUS: Final = 7

COMMAND_FLAG_FUA: Final = 1 << 0
COMMAND_FLAG_NO_HOLE: Final = 1 << 1

REQUEST_MAGIC: Final = 0x25609513
SIMPLE_REPLY_MAGIC: Final = 0x67446698
STRUCTURED_REPLY_MAGIC: Final = 0x668E33EF

REQUEST: Final = Struct(">IHHQQI")
"""magic, command flags, command, cookie, offset, length."""
SIMPLE_REPLY: Final = Struct(">IIQ")
"""magic, error number (0 is success), cookie; a read's data follows on success."""
STRUCTURED_REPLY: Final = Struct(">IHHQI")
"""magic, chunk flags, chunk type, cookie, length of the payload that follows."""

CHUNK_FLAG_DONE: Final = 1
CHUNK_NONE: Final = 0
CHUNK_OFFSET_DATA: Final = 1
CHUNK_OFFSET_HOLE: Final = 2
CHUNK_BLOCK_STATUS: Final = 5
CHUNK_ERROR_BIT: Final = 1 << 15

CHUNK_OFFSET: Final = Struct(">Q")
CHUNK_HOLE: Final = Struct(">QI")
"""offset and length of a hole that reads as zeroes."""
CHUNK_ERROR: Final = Struct(">IH")
"""error number, length of the message that follows."""
CHUNK_CONTEXT: Final = Struct(">I")
EXTENT: Final = Struct(">II")
"""length in bytes and status flags of one extent."""

MAXIMUM_PAYLOAD: Final = 32 << 20
"""Longest payload of one read or write, in bytes."""


def option_request(option: int, data: bytes = b"") -> bytes:
    """One option as the client sends it."""
    return OPTION_HEADER.pack(OPTION_MAGIC, option, len(data)) + data


def option_reply(option: int, reply: int, data: bytes = b"") -> bytes:
    """One reply to an option as the server sends it."""
    return OPTION_REPLY_HEADER.pack(OPTION_REPLY_MAGIC, option, reply, len(data)) + data


def counted_text(text: str) -> bytes:
    """A string as options carry it: its length in bytes, then UTF-8."""
    encoded = text.encode()
    return LENGTH_PREFIX.pack(len(encoded)) + encoded


def parse_go(data: bytes) -> tuple[str, set[int]]:
    """The export name and the wanted information of an OPTION_GO. ``ValueError`` if it is malformed."""
    if len(data) < 6:
        raise ValueError("too short")
    (name_length,) = LENGTH_PREFIX.unpack_from(data, 0)
    count_at = 4 + name_length
    if count_at + 2 > len(data):
        raise ValueError("the name is longer than the option")
    (count,) = COUNT_16.unpack_from(data, count_at)
    if count_at + 2 + 2 * count != len(data):
        raise ValueError("the list of information requests does not fit the option")
    wanted = {COUNT_16.unpack_from(data, count_at + 2 + 2 * index)[0] for index in range(count)}
    return data[4:count_at].decode(), wanted
