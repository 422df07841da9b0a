"""Adapters whose lines are no replies: garbage, halves, floods, and JSON that nobody should take."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from timing import FOR_EVER
from tracker import Adapter

MIB = 1 << 20


class Spoiled(Adapter):
    """A reply to the third write that is spoiled; what it is instead, the subclasses say."""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        if self.is_the_moment(request):
            self.spoil(request["seq"])
        else:
            super().reply(request, answer)

    def spoil(self, seq: int) -> None:
        """Says something else than a reply."""
        self.say(self.line(seq) + b"\n")

    def line(self, seq: int) -> bytes:
        """What it says."""
        raise NotImplementedError


class Garbage(Spoiled):
    """prints a line that is no JSON"""

    def line(self, seq: int) -> bytes:
        return b"write ok!"


class LogsToStandardOutput(Adapter):
    """prints a line of its log to standard output before anything else"""

    def start(self) -> None:
        self.say(b"INFO tracker 1.0 starting\n")


class HalfALine(Spoiled):
    """says half a line, and waits"""

    def spoil(self, seq: int) -> None:
        self.say(b'{"seq":%d' % seq)
        time.sleep(FOR_EVER)


class HalfALineAndGone(Spoiled):
    """says half a line, and dies"""

    def spoil(self, seq: int) -> None:
        self.say(b'{"seq":%d' % seq)
        os._exit(1)


class NoEndOfLine(Adapter):
    """says whole replies, and no newline after them"""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        self.say(self.encoded({"seq": request["seq"], **answer}))


class HundredMegabytes(Spoiled):
    """says a line of 100 MB"""

    def spoil(self, seq: int) -> None:
        self.say(b'{"seq":%d,"text":"' % seq)
        for _ in range(100):
            self.say(b"x" * MIB)
        self.say(b'"}\n')


class FloodsStandardOutput(Spoiled):
    """prints short lines without end"""

    def spoil(self, seq: int) -> None:
        while True:
            self.say(b"{}\n" * (MIB // 3))


class FloodsStandardOutputWithNothing(Spoiled):
    """prints empty lines without end"""

    def spoil(self, seq: int) -> None:
        while True:
            self.say(b"\n" * MIB)


class FloodsStandardError(Adapter):
    """is right, and writes a megabyte to its log at every write"""

    def write(self, *args: Any, **fields: Any) -> dict[str, Any]:
        os.write(2, b"DEBUG a write\n" * (MIB // 14))
        return super().write(*args, **fields)


class FloodsStandardErrorForEver(Spoiled):
    """writes to its log without end, and answers no more"""

    def spoil(self, seq: int) -> None:
        while True:
            os.write(2, b"Traceback (most recent call last):\n" * 1000)


class TwoOnALine(Spoiled):
    """says two replies on one line"""

    def line(self, seq: int) -> bytes:
        return b'{"seq":%d}{"seq":%d}' % (seq, seq + 1)


class PrettyPrinted(Adapter):
    """says its replies as JSON of several lines"""

    @staticmethod
    def encoded(reply: dict[str, Any]) -> bytes:
        return json.dumps(reply, indent=2).encode()


class CarriageReturns(Adapter):
    """is right, and ends its lines as Windows does"""

    @staticmethod
    def say(raw: bytes) -> None:
        Adapter.say(raw.replace(b"\n", b"\r\n"))


class ByteOrderMark(Adapter):
    """begins with a byte order mark"""

    def start(self) -> None:
        self.say(b"\xef\xbb\xbf")


class Utf16(Adapter):
    """speaks UTF-16"""

    @staticmethod
    def encoded(reply: dict[str, Any]) -> bytes:
        return json.dumps(reply).encode("utf-16")


class InvalidUtf8(Spoiled):
    """says a text that is not UTF-8"""

    def line(self, seq: int) -> bytes:
        return b'{"seq":%d,"error":"busy","text":"\xff\xfe"}' % seq


class NulBytes(Spoiled):
    """puts NUL bytes into a line"""

    def line(self, seq: int) -> bytes:
        return b'{"seq":%d}\0\0' % seq


class EmptyLines(Spoiled):
    """says an empty line where a reply should be"""

    def line(self, seq: int) -> bytes:
        return b""


class DeeplyNested(Spoiled):
    """says 100,000 brackets"""

    def line(self, seq: int) -> bytes:
        return b'{"seq":%d,"ended":' % seq + b"[" * 100_000 + b"]" * 100_000 + b"}"


class DuplicateKeys(Spoiled):
    """says a member twice"""

    def line(self, seq: int) -> bytes:
        return b'{"seq":%d,"error":"busy","error":"not found"}' % seq


class NotAnObject(Spoiled):
    """says a JSON text that is no object"""

    def line(self, seq: int) -> bytes:
        return b"[%d]" % seq


class NotANumber(Adapter):
    """says NaN where a number should be"""

    def seen(self, node: str, name: str) -> dict[str, Any]:
        return {**super().seen(node, name), "granularity": float("nan")}


class HugeNumbers(Adapter):
    """says offsets of a thousand digits"""

    def seen(self, node: str, name: str) -> dict[str, Any]:
        return {**super().seen(node, name), "dirty": [[10**1000, 4096]]}


class BeyondTheLargestOffset(Adapter):
    """says an extent that ends beyond 2^63 - 1"""

    def seen(self, node: str, name: str) -> dict[str, Any]:
        return {**super().seen(node, name), "dirty": [[(1 << 63) - 4096, 8192]]}


class NumbersAsText(Adapter):
    """says its sequence numbers as text"""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        super().reply({"seq": str(request["seq"])}, answer)


class WrongTypes(Adapter):
    """says the dirty granules as a text"""

    def seen(self, node: str, name: str) -> dict[str, Any]:
        return {**super().seen(node, name), "dirty": "all"}


class MisspeltMember(Spoiled):
    """misspells a member that may be left out"""

    def line(self, seq: int) -> bytes:
        return b'{"seq":%d,"erorr":"busy"}' % seq


class UnknownError(Spoiled):
    """refuses with an error of its own"""

    def line(self, seq: int) -> bytes:
        return b'{"seq":%d,"error":"EBUSY"}' % seq


class NothingSeen(Adapter):
    """answers an observation as if it were a command: done"""

    def observe(self, what: str, name: str = "") -> dict[str, Any]:
        return {}


class OtherNamesForThings(Adapter):
    """is written from memory: its members have other names than the protocol's"""

    def seen(self, node: str, name: str) -> dict[str, Any]:
        bitmap = super().seen(node, name)
        return {"disk": bitmap["node"], "bitmap": name, "size": bitmap["granularity"], "bits": bitmap["dirty"]}


class MillionsOfExtents(Adapter):
    """says every observation with 200,000 extents"""

    def seen(self, node: str, name: str) -> dict[str, Any]:
        return {**super().seen(node, name), "dirty": [[0, 4096]] * 200_000}
