"""Each finding has the rule that it breaks, in a sentence."""

from typing import get_args

import pytest
from cbtcheck.follow.judge_images import RULE_DISK
from cbtcheck.scenario.images import ImageRefusal
from cbtcheck.scenario.rules import BROKEN, PROPERTIES, REFUSED, rule
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtmodel.properties import IDS
from cbtmodel.refusal import Kind


def finding(where: str, expected: str = "this", verdict: Verdict = Verdict.DIVERGES, broken: str = "") -> Finding:
    return Finding(verdict, broken, where, expected, "that")


def test_every_property_and_every_refusal_has_one() -> None:
    assert PROPERTIES.keys() == {*IDS, RULE_DISK}
    assert REFUSED.keys() == {*get_args(Kind), *get_args(ImageRefusal)}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (finding("disk0/b0 bits", verdict=Verdict.UNSAFE, broken="NO-LOST-WRITE"), "a lost write"),
        (finding("disk0/b0 granularity"), "keeps the granularity"),
        (finding("disk0/b0 busy"), "busy while a job uses it"),
        (finding("job j0"), "phase"),
        (finding("job j0 copied"), "progress"),
        (finding("jobs ended"), "outcome"),
        (finding("writes in flight"), "in flight"),
        (finding("AddBitmap", "refused: exists: a bitmap b0"), "name that is taken"),
        (finding("AddBitmap", "accepted"), "is accepted"),
        (finding("disk0/b0 trust", verdict=Verdict.UNSAFE, broken="RULE-DISK"), "openly not to be trusted"),
        (finding("disk0/b0 persistent"), "to be stored"),
        (finding("image of disk0"), "as it was opened"),
        (finding("ClearBitmap", "refused: read only: ClearBitmap: read only"), "open for reading only"),
        (finding("ClearBitmap", "refused: inconsistent: ClearBitmap: inconsistent"), "only be removed"),
        (finding("Write", verdict=Verdict.BROKEN), BROKEN),
    ],
)
def test_a_finding_says_which_rule_it_breaks(said: Finding, words: str) -> None:
    assert words in rule(said)
    assert rule(said).endswith(".")
