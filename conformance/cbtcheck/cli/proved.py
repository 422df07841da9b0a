"""What was proved, for people and for machines: theorems, whether the proofs say anything, and what fails.

JSON: `"format": "cbtspec-proof"`, `"version": 1`. A failed obligation is shown as one block before and after a
command: a row for each set of blocks, with a cell before and a cell after, and the control state of whoever is there.
`kept` says which result is shown again, and when it was proved (UTC); null if this run has proved it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cbtproofs.arithmetic.arithmetic_proof import Result
from cbtproofs.inductive import prove
from cbtproofs.inductive.prove import PROVERS, Failure, Proved
from cbtproofs.inductive.statements import statement
from cbtproofs.inductive.vacuity import EXPECTED, SEEDED, Found
from cbtproofs.inductive.variety import VARIETY
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cbtcheck.cli.kept_proof import Kept
from cbtcheck.report.strips import CLEAN, DIRTY
from cbtcheck.scenario.describe import describe

FORMAT = "cbtspec-proof"
VERSION = 1
MOST_SHOWN = 2
INTEGERS = "64-bit integers"


@dataclass
class Outcome:
    """A whole run. `inductive` are the theorems proved by induction that were asked for, `found` who found which
    seeded mistake; `missing` is what was to be seen and was not; `only` is the one theorem that was asked for. `kept`
    is the result that was kept, if nothing was proved in this run.
    """

    inductive: tuple[str, ...] = ()
    proved: Proved = field(default_factory=Proved)
    found: dict[str, Found] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    arithmetic: list[Result] = field(default_factory=list)
    only: str | None = None
    kept: Kept | None = None


def good(outcome: Outcome) -> bool:
    """Whether everything is proved, and says something."""
    numbers = all(each.verdict == "proved" for each in outcome.arithmetic)
    if not outcome.inductive:
        return bool(outcome.arithmetic) and numbers
    named = all(verdict(outcome, property_id) == "proved" for property_id in outcome.inductive)
    alive = all(
        property_id in outcome.found and all(found_by(outcome, property_id).values())
        for property_id in outcome.inductive
    )
    return numbers and named and alive and not outcome.missing and prove.holds(outcome.proved)


def verdict(outcome: Outcome, property_id: str) -> str:
    """What became of a theorem that is proved by induction."""
    if any(each.obligation.id == property_id for each in outcome.proved.failures):
        return "fails"
    return "proved" if outcome.proved.obligations[property_id] else "vacuous"


def found_by(outcome: Outcome, property_id: str) -> dict[str, bool]:
    """Which provers have found all the mistakes that are seeded for a theorem."""
    said = outcome.found.get(property_id, {}).values()
    return {name: all(each[name] for each in said) for name in PROVERS} if said else {}


def print_proof(outcome: Outcome, console: Console) -> None:
    """Prints everything."""
    for each in sections(outcome):
        console.print(each, soft_wrap=isinstance(each, Text))


def sections(outcome: Outcome) -> Iterator[RenderableType]:
    """The report from top to bottom."""
    if outcome.inductive:
        yield theorem_table(outcome)
    if outcome.arithmetic:
        yield arithmetic_table(outcome)
    if outcome.inductive:
        yield from vacuity_lines(outcome)
    for property_id in dict.fromkeys(each.obligation.id for each in outcome.proved.failures):
        yield from failed(outcome, property_id)
    for each in outcome.arithmetic:
        if each.verdict != "proved":
            yield Text(f"\n{each.theorem.id}: {each.verdict}: {each.text}", style="bold red")
            yield again(each.theorem.id)
    for what, pairs in (("the provers disagree", outcome.proved.disagreements), ("unknown", outcome.proved.unknown)):
        for scene, words in pairs[:MOST_SHOWN]:
            yield Text(f"\n{what}: {scene.cast}: {played(scene.command)}: {words}", style="bold red")
    yield Text()
    if outcome.kept is not None:
        yield not_anew(outcome.kept)
    yield result(outcome)


def theorem_table(outcome: Outcome) -> Table:
    """The theorems that are proved by induction, for every disk and every history."""
    table = _table("theorem", "", "obligations", "paths", *PROVERS, "statement")
    for property_id in outcome.inductive:
        spent = [f"{seconds_for(outcome, property_id, name):.2f}" for name in PROVERS]
        numbers = f"{outcome.proved.obligations[property_id]:,}", f"{outcome.proved.paths[property_id]:,}"
        table.add_row(property_id, _verdict(verdict(outcome, property_id)), *numbers, *spent, statement(property_id))
    spent = [f"{seconds_for(outcome, '', name):.2f}" for name in PROVERS]
    table.add_row("", "", "", "", *spent, Text("states, assumptions and commands", style="dim"))
    return table


def arithmetic_table(outcome: Outcome) -> Table:
    """The theorems about offsets, sizes and granularities, which Z3 proves of every number."""
    table = _table("theorem", "", "obligations", "about", "seconds", "statement")
    for each in outcome.arithmetic:
        table.add_row(
            each.theorem.id, _verdict(each.verdict), f"{each.obligations:,}", INTEGERS, f"{each.seconds:.2f}",
            each.theorem.statement,
        )  # fmt: skip
    return table


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in headings:
        right = heading in ("obligations", "paths", "seconds", *PROVERS)
        table.add_column(f"{heading}, s" if heading in PROVERS else heading, justify="right" if right else "left")
    return table


def _verdict(word: str) -> Text:
    return Text(word, style="green" if word == "proved" else "bold red")


def vacuity_lines(outcome: Outcome) -> Iterator[Text]:
    """Whether the proofs say anything."""
    proved = outcome.proved
    impossible = [f"{each.cast}: {played(each.command)}" for each in proved.vacuous]
    yield _line("assumptions", impossible, "those of every scene can be satisfied")
    missing = [f"never seen: {each}" for each in outcome.missing]
    if outcome.only is None:
        rest = len(EXPECTED) - len(VARIETY)
        fine = f"all {rest} kinds of commands, actions, refusals and ends of jobs, on possible paths; with them all "
        fine += f"{len(VARIETY)} values of fields, numbers and places"
        yield _line("seen", missing, fine)
    wrong = [
        f"{mistake} is not found by the {name}: {property_id} says nothing"
        for property_id, found in outcome.found.items() for mistake, said in found.items()
        for name, fails in said.items() if not fails
    ]  # fmt: skip
    number = sum(map(len, outcome.found.values()))
    fine = f"{number} mistakes; with each of its own a theorem fails, in both provers"
    yield _line("seeded", wrong, fine)


def _line(what: str, wrong: list[str], fine: str) -> Text:
    return Text(f"{what + ':':<13}{'; '.join(wrong) or fine}", style="bold red" if wrong else "")


# What fails


def failed(outcome: Outcome, property_id: str) -> Iterator[Text]:
    """A theorem that fails: the shortest paths to an obligation that does not hold, each once."""
    failures: dict[tuple[Any, ...], list[Failure]] = {}
    for each in sorted(outcome.proved.failures, key=lambda each: len(each.obligation.path)):
        if each.obligation.id == property_id:
            key = each.scene.cast, repr(each.scene.command), each.obligation.path, each.obligation.where
            failures.setdefault(key, []).append(each)
    yield Text(f"\n{property_id} fails ({len(failures):,} obligations): {statement(property_id)}", style="bold red")
    for same in list(failures.values())[:MOST_SHOWN]:
        yield from picture(same[0], [each.prover for each in same])
    yield again(property_id)


def again(property_id: str) -> Text:
    """How to run it again."""
    return Text(f"\nagain: cbtspec prove --only {repr(property_id) if ' ' in property_id else property_id}")


def picture(failure: Failure, provers: list[str]) -> Iterator[Text]:
    """One block before and after the command, and the claim that fails of it."""
    seen = failure.obligation.counterexample
    assert seen is not None
    yield Text(f"\n{failure.scene.cast}: {played(failure.scene.command)}  ({', '.join(dict.fromkeys(provers))})\n")
    controls = list(dict.fromkeys([*seen.before.control, *seen.after.control]))
    sets = list(dict.fromkeys([*seen.before.sets, *seen.after.sets]))
    width = max(map(len, [*controls, *sets, ""]))
    for name in controls:
        before, after = (sight.control.get(name, "not there") for sight in (seen.before, seen.after))
        yield Text(f"  {name:<{width}}  {before}" + ("" if before == after else f"  →  {after}"))
    if sets:
        yield Text(f"  {'our block':<{width}}  before  after", style="dim")
    for name in sets:
        before, after = (_cell(sight.sets, name) for sight in (seen.before, seen.after))
        yield Text(f"  {name:<{width}}  {before:<6}  {after}")
    note = f" ({seen.note})" if seen.note else ""
    yield Text(f"✗ {failure.obligation.where}{note}", style="bold red")
    if sets:
        yield Text(f"\n  {DIRTY} the block is in the set   {CLEAN} it is not", style="dim")


def _cell(sets: dict[str, bool], name: str) -> str:
    return "" if name not in sets else DIRTY if sets[name] else CLEAN


def played(command: Any) -> str:
    """What was played, in words."""
    return command if isinstance(command, str) else describe(command)


def result(outcome: Outcome) -> Text:
    """The last line."""
    if not good(outcome):
        return Text("NOT PROVED.", style="bold red")
    count = len(outcome.inductive) + len(outcome.arithmetic)
    parts = []
    if outcome.inductive:
        seconds = " and ".join(f"{outcome.proved.seconds[name]:.1f} s on the {name}" for name in PROVERS)
        obligations = outcome.proved.obligations.total()
        z3 = f"{outcome.proved.solver:.1f} s of these in Z3"
        parts.append(f"{obligations:,} obligations twice, for disks of every size, in {seconds} ({z3})")
    if outcome.arithmetic:
        obligations = sum(each.obligations for each in outcome.arithmetic)
        parts.append(f"{obligations:,} about {INTEGERS} in {spent(outcome):.1f} s")
    return Text(f"PROVED: {count} theorem{'s' * (count != 1)}, {'; '.join(parts)}.", style="bold green")


def not_anew(kept: Kept) -> Text:
    """That nothing was proved in this run, and why that is the result."""
    of = "the same sources, Python and Z3"
    text = f"kept: this was proved at {kept.proved_at} from {of} (digest {kept.digest[:12]}), and not in this run"
    return Text(f"{text}; anew: cbtspec prove --again\n", style="bold yellow")


def seconds_for(outcome: Outcome, property_id: str, prover: str) -> float:
    """Seconds that a prover spent on a theorem; on none of them: on what comes before all of them."""
    return outcome.proved.spent[prover][property_id] if prover in outcome.proved.spent else 0.0


def spent(outcome: Outcome) -> float:
    """Seconds for the theorems about integers."""
    return sum(each.seconds for each in outcome.arithmetic)


# For machines


def to_json(outcome: Outcome) -> bytes:
    """The same as a JSON document."""
    return msgspec.json.format(msgspec.json.encode(to_plain(outcome)), indent=1) + b"\n"


def to_plain(outcome: Outcome) -> dict[str, Any]:
    """The same as JSON data."""
    proved = outcome.proved
    by_induction = [
        {
            "id": property_id, "statement": statement(property_id), "verdict": verdict(outcome, property_id),
            "obligations": proved.obligations[property_id], "paths": proved.paths[property_id],
            "seeded_mistake": SEEDED[property_id][0].mutant, "found_by": found_by(outcome, property_id),
            "seeded_mistakes": outcome.found.get(property_id, {}),
            "seconds": {name: round(seconds_for(outcome, property_id, name), 3) for name in PROVERS},
        }
        for property_id in outcome.inductive
    ]  # fmt: skip
    about_integers = [
        {
            "id": each.theorem.id, "statement": each.theorem.statement, "verdict": each.verdict,
            "obligations": each.obligations, "paths": each.paths, "about": INTEGERS,
            "seconds": round(each.seconds, 3), "text": each.text,
        }
        for each in outcome.arithmetic
    ]  # fmt: skip
    return {
        "format": FORMAT,
        "version": VERSION,
        "proved": good(outcome),
        "theorems": [*by_induction, *about_integers],
        "seconds": {name: round(seconds, 3) for name, seconds in proved.seconds.items()},
        "solver_seconds": round(proved.solver, 3),
        "obligations": dict(proved.obligations),
        "paths": dict(proved.paths),
        "other_seconds": {name: round(seconds_for(outcome, "", name), 3) for name in proved.spent},
        "only": outcome.only,
        "kept": None if outcome.kept is None else {
            "digest": outcome.kept.digest, "proved_at": outcome.kept.proved_at,
        },
        "impossible_scenes": [f"{each.cast}: {played(each.command)}" for each in proved.vacuous],
        "never_seen": outcome.missing,
        "disagreements": [f"{scene.cast}: {played(scene.command)}: {words}" for scene, words in proved.disagreements],
        "unknown": [f"{scene.cast}: {played(scene.command)}: {words}" for scene, words in proved.unknown],
        "failures": [_failure(each) for each in proved.failures],
    }


def _failure(failure: Failure) -> dict[str, Any]:
    seen = failure.obligation.counterexample
    return {
        "theorem": failure.obligation.id, "prover": failure.prover, "scene": failure.scene.cast,
        "command": played(failure.scene.command), "path": failure.obligation.path, "where": failure.obligation.where,
        "counterexample": None if seen is None else msgspec.to_builtins(seen),
    }  # fmt: skip
