"""One engine: the suite, the oracle and traces say the same of what is seen, and each of its rules is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cbtcheck.follow import bits, judge, refusals, worlds
from cbtcheck.follow.seen import Shown
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.trace import learn, verifier
from cbtcheck.trace import world as traced
from cbtcheck.trace.disagreement import Memory
from follow_cases import CASES, ENGINES, Case


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_every_engine_says_the_same(case: Case, engine: str) -> None:
    assert ENGINES[engine](case) in (None, case.verdict)


def test_the_oracle_is_told_everything_but_digests() -> None:
    for case in CASES:
        hashed = any(getattr(each, "hashed", None) for each in case.steps)
        assert (ENGINES["oracle"](case) is None) == hashed


# Mistakes of the judge, each a rule that is left out or turned round. The cases above notice every one of them.

Findings = list[Finding]
Rule = Callable[..., Findings]
SET, COUNT, DIGEST, LIMITS = bits.judge_set, bits.judge_count, bits.judge_digest, bits.limits
FLAGS, ENDS, FOLLOW = judge._judge_flags, refusals.judge_ends, worlds.follow


def wrong(*_: Any) -> Findings:
    return [Finding(Verdict.DIVERGES, "", "d/fine", "", "")]


def nothing(*_: Any, **__: Any) -> Findings:
    return []


def blind_to(verdict: Verdict, rule: Rule) -> Rule:
    return lambda *given, **named: [each for each in rule(*given, **named) if each.verdict is not verdict]


def mild(rule: Rule) -> Rule:
    return lambda *given, **named: wrong() if rule(*given, **named) else []


def only_may(where: str, within: bits.Limits, count: int) -> Findings:
    return COUNT(where, within, count) or ([] if count == len(within.may) else wrong())


def only_bounds(where: str, within: bits.Limits, count: int | None, digest: str, *rest: Any) -> Findings:
    known = digest in (within.must.digest(), within.may.digest())
    return DIGEST(where, within, count, digest, *rest) or ([] if known else wrong())


def must_be_may(*given: Any, **named: Any) -> bits.Limits:
    found = LIMITS(*given, **named)
    return replace(found, must=found.may, owed=len(found.may))


def remembers_for_ever(self: Shown, command: object, step: Any) -> None:
    pass


def forgets_too_much(self: Shown, command: object, step: Any) -> None:
    if step.ended or type(command).__name__ == "ClearBitmap":
        self._counts.clear()


def as_it_was(space: Any, size: int, bitmap: Any, seen: Any, guest_seen: bool) -> Any:
    return bitmap


def happened(given: Any, command: Any, reply: Any, *rest: Any) -> Any:
    for world in given:
        world.takes(command, reply, *rest[1:])
    return given


def did_not_happen(given: Any, command: Any, reply: Any, *rest: Any) -> Any:
    return given if reply is not None and not reply.definite else FOLLOW(given, command, reply, *rest)


def the_worst(given: Any, findings: Any) -> Any:
    return [max(given, key=lambda world: len(findings(world)))]


SHARED, EXACT_SETS = ("suite", "oracle", "trace"), ("suite", "oracle")
HASHED = ("suite", "trace")

MISTAKES: dict[str, tuple[tuple[str, ...], list[tuple[Any, str, Any]]]] = {
    "a count must be what may be": (SHARED, [(bits, "judge_count", only_may)]),
    "a count need not reach what must be": (SHARED, [(bits, "judge_count", blind_to(Verdict.UNSAFE, COUNT))]),
    "a count may go beyond what may be": (SHARED, [(bits, "judge_count", blind_to(Verdict.WASTEFUL, COUNT))]),
    "a set may lack what must be": (SHARED, [(bits, "judge_set", blind_to(Verdict.UNSAFE, SET))]),
    "a set may have more than may be": (SHARED, [(bits, "judge_set", blind_to(Verdict.WASTEFUL, SET))]),
    "all that may be must be": (SHARED, [(bits, "limits", must_be_may)]),
    "a set and its count may differ": (SHARED, [(bits, "_contradiction", nothing)]),
    "digests are not looked at": (HASHED, [(bits, "judge_digest", nothing)]),
    "another digest of as many only diverges": (HASHED, [(bits, "judge_digest", mild(DIGEST))]),
    "a digest must be one of the two bounds": (HASHED, [(bits, "judge_digest", only_bounds)]),
    "flags are not looked at": (SHARED, [(judge, "_judge_flags", nothing)]),
    "not to record only diverges": (SHARED, [(judge, "_judge_flags", mild(FLAGS))]),
    "what is not there owed nothing": (SHARED, [(judge, "_owes", lambda *_: False)]),
    "whatever is not there owed something": (SHARED, [(judge, "_owes", lambda *_: True)]),
    "counts are not remembered": (EXACT_SETS, [(Shown, "keep", lambda *_: None)]),
    "counts are remembered for ever": (EXACT_SETS, [(Shown, "follow", remembers_for_ever)]),
    "counts of all are forgotten with one": (EXACT_SETS, [(Shown, "follow", forgets_too_much)]),
    "counts of sets in part are not remembered": (
        ("trace",), [(learn, "_counted", as_it_was), (Memory, "compare", nothing)]
    ),
    "any refusal is as good as another": (
        SHARED, [(module, "is_answered_by", lambda result, _, refusal: bool(result.refusal) == bool(refusal))
                 for module in (refusals, traced)],
    ),
    "a refusal need not be one": (
        SHARED, [(module, "is_answered_by", lambda *_: True) for module in (refusals, traced)],
    ),
    "there is but one reason": (SHARED, [(refusals, "may_name_another_reason", lambda _: False)]),
    "replies are not looked at": (EXACT_SETS, [(worlds, "judge_reply", nothing)]),
    "ends are not looked at": (EXACT_SETS, [(worlds, "judge_ends", nothing)]),
    "false success only diverges": (EXACT_SETS, [(worlds, "judge_ends", mild(ENDS))]),
    "what is indefinite has happened": (("suite",), [(worlds, "follow", happened)]),
    "what is indefinite has not happened": (("suite",), [(worlds, "follow", did_not_happen)]),
    "of several worlds the worst is taken": (
        SHARED, [(module, "least_at_odds", the_worst) for module in (worlds, verifier)],
    ),
    "all worlds stay": (
        SHARED, [(module, "least_at_odds", lambda given, _: list(given)) for module in (worlds, verifier)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_of_the_judge_is_noticed(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engines, patches = MISTAKES[mistake]
    for where, name, instead in patches:
        monkeypatch.setattr(where, name, instead)
    for engine in engines:
        noticed = (case.name for case in CASES if ENGINES[engine](case) not in (None, case.verdict))
        assert next(noticed, None), f"{engine} does not notice"
