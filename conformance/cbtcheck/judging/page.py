"""A judgement as one HTML page: the conversation of each mistake as a timeline, its lost writes marked."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from cbtcheck.host.printable import plain
from cbtcheck.judging.campaign import Result
from cbtcheck.judging.grouped import Shown, main_reason
from cbtcheck.judging.play import Outcome
from cbtcheck.judging.printed import closing, facts, summary
from cbtcheck.judging.verdicts import Judgement, Reason
from cbtcheck.report.junit import legal_in_xml

TONES = {Judgement.SAFE: "good", Judgement.LOUD: "good", Judgement.WASTEFUL: "warn"}
MOST_ROWS = 2000


def to_html(result: Result, again: str) -> str:
    """The page. It loads nothing, and runs nothing."""
    style = _file("page.css")
    named = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: legal_in_xml(value) if type(value) is str else value,
    )  # fmt: skip
    return environment.from_string(_file("page.html")).render(
        policy=f"default-src 'none'; style-src 'sha256-{named}'; base-uri 'none'; form-action 'none'",
        style=Markup(style),  # ours, and without a tag in it
        tone=TONES.get(result.judgement, "bad"),
        verdict=result.judgement.value,
        closing=closing(result),
        summary="\n".join(summary(result)),
        mistakes=[_mistake(each, again) for each in result.shown],
    )


def _mistake(shown: Shown, again: str) -> dict[str, Any]:
    outcome = shown.outcome
    reason = main_reason(outcome) or Reason(outcome.judgement, "")
    said = [" ".join(each.split()) for each in facts(reason, outcome)]
    if any(shown.between):
        said.insert(0, f"window: after {shown.between[0] or 'the beginning'}, before {shown.between[1] or 'the end'}")
    said.append(f"shown by {shown.schedules} schedules; this is: {outcome.schedule.name}")
    return {
        "verdict": outcome.judgement.value, "text": reason.text, "facts": said,
        "rows": list(_rows(outcome, reason))[-MOST_ROWS:],
        "verify": f"verify {shown.verified}" if shown.verified else "",
        "again": f"{again} --play {shown.saved}" if shown.saved else "",
    }  # fmt: skip


def _rows(outcome: Outcome, reason: Reason) -> Iterator[dict[str, str]]:
    lost = {each.wanted for each in reason.losses if each.wanted}
    for each in outcome.entries:
        if not each.point and each.who not in ("suite", "guest"):
            continue
        text = plain(each.text)
        kind: str = "command" if each.who == "tool" else each.who
        if each.who == "guest":
            text, kind = f"write {each.number}: {text}", "lost" if each.number in lost else "guest"
        elif text.startswith("fault: "):
            kind = "fault"
        column = {"tool": "tool", "QEMU": "qemu"}.get(each.who, "other")
        yield {"run": each.run, "kind": kind, "tool": "", "qemu": "", "other": ""} | {column: text}


def _file(name: str) -> str:
    return files("cbtcheck.judging").joinpath(name).read_text(encoding="utf-8")
