"""A judgement for other programs: JSON, JUnit XML, and GitHub's annotations and summary."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import msgspec
from junitparser import Error, JUnitXml, Skipped, TestCase, TestSuite
from junitparser import Failure as Failed

from cbtcheck.host.version import VERSION
from cbtcheck.judging.campaign import Result
from cbtcheck.judging.grouped import Shown, main_reason
from cbtcheck.judging.printed import closing, facts, failure
from cbtcheck.judging.verdicts import Judgement
from cbtcheck.report.github import annotation, block_of_code, marked
from cbtcheck.report.junit import legal_in_xml

FORMAT = "cbtspec-judgement"
FORMAT_VERSION = 1


def to_json(result: Result, again: str) -> bytes:
    """The judgement as a document; docs/use/judge.md has its members."""
    quiet = result.quiet
    document = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "suite": VERSION,
        "tool": result.plan.name,
        "qemu": quiet.version,
        "profile": result.profile,
        "seed": result.seed,
        "verdict": result.judgement.value,
        "complete": result.complete and not result.left_out,
        "schedules": {each.value: result.counts.get(each, 0) for each in Judgement},
        "of_the_profile": [{"kind": kind, "chosen": some, "of": of} for kind, some, of in result.bounds],
        "restores": result.restored,
        "writes": result.writes,
        "points": quiet.points,
        "not_reached": result.missed,
        "unprovoked": result.unprovoked,
        "mistakes": [_mistake(each, again) for each in result.shown],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _mistake(shown: Shown, again: str) -> dict[str, Any]:
    outcome, reason = shown.outcome, main_reason(shown.outcome)
    return {
        "verdict": outcome.judgement.value,
        "reason": "" if reason is None else reason.text,
        "run": "" if reason is None else reason.run,
        "window": dict(zip(("after", "before"), shown.between, strict=True)) if any(shown.between) else None,
        "losses": [] if reason is None else [asdict(each) for each in reason.losses],
        "schedules": shown.schedules,
        "faults": dict(shown.faults),
        "schedule": outcome.schedule,
        "verify": shown.verified,
        "conversation": [
            {"who": e.who, "run": e.run, "point": e.point, "text": e.text, "write": e.number or None}
            for e in outcome.entries
        ],
        "again": f"{again} --play {shown.saved}" if shown.saved else "",
    }


def to_junit(result: Result, again: str) -> bytes:
    """A test case for each kind of schedule and each mistake, and one for the whole; what was left out is skipped."""
    suite = TestSuite("cbtspec.judge")
    for name, value in (("suite", VERSION), ("tool", result.plan.name), ("qemu", result.quiet.version),
                        ("profile", result.profile), ("seed", str(result.seed))):  # fmt: skip
        suite.add_property(name, legal_in_xml(value))
    for kind, some, of in result.bounds:
        case = TestCase(kind, "cbtspec.judge.schedules")
        if some < of or result.left_out:
            case.result = [Skipped(f"{some} of {of} are in the profile; {result.left_out} were left out")]
        suite.add_testcase(case)
    for number, each in enumerate(result.shown, 1):
        reason = main_reason(each.outcome)
        text = "" if reason is None else reason.text
        case = TestCase(legal_in_xml(f"mistake {number}: {text}"), "cbtspec.judge.mistakes")
        kind_of_result = Error if each.outcome.judgement is Judgement.BROKEN else Failed
        found = kind_of_result(legal_in_xml(text), each.outcome.judgement.value)
        found.text = legal_in_xml("\n".join(failure(each, f"{number} of {len(result.shown)}", again)))
        case.result = [found]
        suite.add_testcase(case)
    whole = TestCase("the whole run", "cbtspec.judge")
    if result.judgement is not Judgement.SAFE:
        whole.result = [Failed(legal_in_xml(closing(result)))]
    elif result.left_out or not result.complete:
        whole.result = [Skipped(legal_in_xml(closing(result)))]
    suite.add_testcase(whole)
    document = JUnitXml("cbtspec judge")
    document.add_testsuite(suite)
    content = io.BytesIO()
    document.write(content, pretty=True)
    return content.getvalue()


def workflow_commands(result: Result, again: str) -> Iterator[str]:
    """GitHub's annotations: an error for each mistake, a warning for what is only wasteful, and the verdict."""
    for each in result.shown:
        reason = main_reason(each.outcome)
        if reason is not None:
            level = "warning" if each.outcome.judgement is Judgement.WASTEFUL else "error"
            said = "\n".join([reason.text, *facts(reason, each.outcome)])
            said += f"\n{again} --play {each.saved}" if each.saved else ""
            yield annotation(level, f"cbtspec judge: {each.outcome.judgement.value}", said)
    level = "notice" if result.judgement is Judgement.SAFE else "error"
    yield annotation(level, f"cbtspec judge: {result.plan.name or 'the tool'}", closing(result))


def summary(result: Result, again: str) -> str:
    """The summary of a job, in Markdown."""
    parts = [f"## cbtspec judge: {marked(closing(result))}\n"]
    for number, each in enumerate(result.shown, 1):
        text = "\n".join(failure(each, f"{number} of {len(result.shown)}", again))
        parts.append(block_of_code(text))
    return "\n".join(parts)
