"""What a judgement looks like as text, JSON, JUnit, HTML and for GitHub; an evil tool gives no orders in it."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cbtcheck.judging import exported, page, printed
from cbtcheck.judging.campaign import Result
from cbtcheck.judging.conversation import Entry
from cbtcheck.judging.grouped import Shown
from cbtcheck.judging.instants import Loss
from cbtcheck.judging.plan import Plan
from cbtcheck.judging.play import Outcome
from cbtcheck.judging.schedule import Fault, Schedule, Write
from cbtcheck.judging.verdicts import Judgement, Reason

EVIL = "<script>alert(1)</script>\x1b[31m ::error::x `` ``` "
WRITE = Write("2/reply/x/1", "disk0", 0, 65536)
POINT = "2/before/x/1"


def result(judgement: Judgement) -> Result:
    it = Result(Plan("b", "i", "r {out}", name="a tool"), "quick", 7, Outcome(Schedule("none")))
    it.bounds = (("windows", 3, 3), ("faults", 2, 9))
    it.counts = Counter({Judgement.SAFE: 2, Judgement.LOUD: 1})
    if judgement is not Judgement.SAFE:
        it.counts[judgement] = 1
        losses = (Loss("disk0", 0, 65536, 0, 1),) if judgement is Judgement.UNSAFE else ()
        reason = Reason(judgement, f"wrong: {EVIL}", "2", losses, WRITE.at, ("x of run 2", ""))
        entries = [
            Entry("suite", f"run 2: {EVIL}", "2"), Entry("tool", f"x {EVIL}", "2", POINT, 1, b"{}"),
            Entry("guest", "write disk0 0K+64K", "2", WRITE.at, write=WRITE, number=1),
            Entry("QEMU", "done", "2", WRITE.at, 1, b"{}"), Entry("tool", "query-block", "2", "", 1, b"{}"),
        ]  # fmt: skip
        outcome = Outcome(Schedule("of a test", 1, (WRITE,), (Fault(POINT, "KILL"),)), [reason], entries)
        shown = Shown(outcome, ("x of run 2", ""), 3, Counter({"": 2, "KILL": 1}), Path("reports/a b.json"), "agrees")
        it.shown = [shown]
    return it


@pytest.mark.parametrize("judgement", [Judgement.SAFE, *list(Judgement)[2:]])
def test_the_text_ends_with_the_verdict_and_has_the_way_to_play_it_again(judgement: Judgement) -> None:
    lines = list(printed.lines(result(judgement), "cbtspec judge x.toml"))
    assert lines[-1].startswith(f"{judgement.value.upper()} in profile quick")
    assert not re.search("[\x00-\x08\x1b]", "\n".join(lines))
    if judgement is Judgement.UNSAFE:
        text = "\n".join(lines)
        assert "lost       disk0, bytes 0 to 65,535: zeroes is there; write 1 is missing" in text
        assert "window     after x of run 2, before the end" in text
        assert "shown by   3 schedules (no fault 2, KILL 1)" in text
        assert "cbtspec judge x.toml --play 'reports/a b.json'" in text
        assert "← lost" in text
        assert "query-block" not in text


def test_the_document_has_everything() -> None:
    it = json.loads(exported.to_json(result(Judgement.UNSAFE), "again"))
    assert (it["format"], it["version"], it["verdict"]) == ("cbtspec-judgement", 1, "unsafe")
    assert it["schedules"] == {"safe": 2, "loud": 1, "wasteful": 0, "stuck": 0, "unsafe": 1, "broken": 0}
    assert it["of_the_profile"][1] == {"kind": "faults", "chosen": 2, "of": 9}
    mistake, = it["mistakes"]
    assert mistake["window"] == {"after": "x of run 2", "before": ""}
    assert mistake["losses"] == [{"disk": "disk0", "offset": 0, "length": 65536, "found": 0, "wanted": 1}]
    assert mistake["schedule"]["faults"] == [{"at": POINT, "kind": "KILL"}]
    assert len(mistake["conversation"]) == 5


def test_a_tool_that_fails_by_itself_is_told_though_it_said_so() -> None:
    it = result(Judgement.SAFE)
    ended = Entry("suite", "run 3: exit code 1: backup: no luck", "3")
    it.add(Outcome(Schedule("window 2/start"), entries=[ended], loud=["3"]))
    it.add(Outcome(Schedule("fault", faults=(Fault(POINT, "KILL"),)), loud=["3"]))
    name = "window 2/start: run 3: exit code 1: backup: no luck"
    said = f"unprovoked   in 1 of the loud ones nothing but the tool has failed, as in {name}"
    assert said in list(printed.lines(it, "again"))
    assert json.loads(exported.to_json(it, "again"))["unprovoked"] == [name]


def test_junit_fails_what_failed_and_skips_what_was_not_played() -> None:
    tree = ElementTree.fromstring(exported.to_junit(result(Judgement.UNSAFE), "again"))
    cases = {each.get("name", "")[:9]: [child.tag for child in each] for each in tree.iter("testcase")}
    assert cases == {"windows": [], "faults": ["skipped"], "mistake 1": ["failure"], "the whole": ["failure"]}
    safe = ElementTree.fromstring(exported.to_junit(result(Judgement.SAFE), "again"))
    assert not list(safe.iter("failure"))
    partly = result(Judgement.SAFE)
    partly.left_out = 1
    whole = list(ElementTree.fromstring(exported.to_junit(partly, "")).iter("testcase"))[-1]
    assert [child.tag for child in whole] == ["skipped"]


def test_github_is_told_and_given_no_orders() -> None:
    lines = list(exported.workflow_commands(result(Judgement.UNSAFE), "again"))
    assert [each.split(" ")[0] for each in lines] == ["::error", "::error"]
    assert all("\n" not in each for each in lines)
    assert next(exported.workflow_commands(result(Judgement.SAFE), "")).startswith("::notice")
    text = exported.summary(result(Judgement.UNSAFE), "again")
    assert "````text" in text
    assert "UNSAFE" in text


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag == "tr":
            self.classes[dict(attrs).get("class") or ""] += 1


def test_the_page_has_the_timeline_and_runs_nothing() -> None:
    text = page.to_html(result(Judgement.UNSAFE), "again")
    it = Page()
    it.feed(text)
    assert not it.tags["script"]
    assert it.classes["lost"] == 1
    assert it.classes["command"] == 1
    assert "default-src 'none'" in text.replace("&#39;", "'")
    assert "\x1b" not in text
    assert "UNSAFE" in text
    assert "UNSAFE" not in page.to_html(result(Judgement.SAFE), "again")
