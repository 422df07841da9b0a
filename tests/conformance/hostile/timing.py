"""Adapters that are silent, late, slow, or that speak when nobody has asked."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from tracker import Adapter

FOR_EVER = 600
"""Seconds, which a test never waits."""

MOMENT = 0.02


class NeverAnswers(Adapter):
    """reads requests and never answers one"""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        pass


class NeverReads(Adapter):
    """does not read its standard input"""

    def main(self) -> None:
        time.sleep(FOR_EVER)


class NeverFlushes(Adapter):
    """writes its replies into a buffer that nobody flushes"""

    @staticmethod
    def say(raw: bytes) -> None:
        sys.stdout.buffer.write(raw)


class GoesSilent(Adapter):
    """stops answering at the third write"""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        if self.writes < 3:
            super().reply(request, answer)


class AnswersLate(Adapter):
    """answers the third write after the deadline, and goes on as if nothing had been"""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        if self.is_the_moment(request):
            while not Path(os.environ["HOSTILE_STATE"], "deadline-has-passed").exists():
                time.sleep(MOMENT)
        super().reply(request, answer)


class AnswersLateOnce(AnswersLate):
    """answers one request after the deadline, once for all; started anew it is right"""

    def is_the_moment(self, request: dict[str, Any]) -> bool:
        once = Path(os.environ["HOSTILE_STATE"], "was-late")
        if not super().is_the_moment(request) or once.exists():
            return False
        once.touch()
        return True


class Drips(Adapter):
    """says its replies byte by byte, each byte in time, the whole of it not"""

    def say(self, raw: bytes) -> None:  # type: ignore[override]
        for each in raw:
            Adapter.say(bytes([each]))
            if self.writes:
                self.drip()

    def drip(self) -> None:
        """Blanks, which mean nothing in JSON: as many as it takes to be late."""
        while True:
            Adapter.say(b" ")
            time.sleep(MOMENT)


class AnswersTwice(Adapter):
    """answers every write twice"""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        super().reply(request, answer)
        if request["do"] == "write":
            super().reply(request, answer)


class AnswersBeforeItIsAsked(Adapter):
    """says the reply to the next request together with the one that was asked for"""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        super().reply(request, answer)
        if request["do"] == "reset":
            super().reply({"seq": request["seq"] + 1}, {})


class SpeaksFirst(Adapter):
    """says hello before it is asked"""

    def start(self) -> None:
        self.reply({"seq": 1}, self.hello())

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        return super().answer(request) if request["do"] != "hello" else {}


class CountsForItself(Adapter):
    """numbers its replies itself, from 0"""

    answers = 0

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        super().reply({"seq": self.answers}, answer)
        self.answers += 1


class RepeatsANumber(Adapter):
    """answers every observation with the sequence number of the request before it"""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        seq = request["seq"] - (request["do"] == "observe")
        super().reply({"seq": seq}, answer)


class OutOfOrder(Adapter):
    """takes batches, and answers every two requests in the wrong order"""

    more = {"batch": True}
    held: tuple[dict[str, Any], dict[str, Any]] | None = None

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        if self.held is None and request["do"] == "write":
            self.held = request, answer
            return
        super().reply(request, answer)
        if self.held is not None:
            super().reply(*self.held)
            self.held = None


class LivesOn(Adapter):
    """neither goes at `bye` nor when its standard input ends"""

    def main(self) -> None:
        super().main()
        time.sleep(FOR_EVER)
