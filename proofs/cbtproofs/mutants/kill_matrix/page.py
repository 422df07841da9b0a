"""The kill matrix as a document: docs/understand/kill-matrix.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from cbtcheck.adapters.mistakes import MISTAKES

from cbtproofs.contracts.mistakes import MISTAKES as CONTRACT_MISTAKES
from cbtproofs.mutants.catalogue import CANARY, EQUIVALENT, NOT_APPLICABLE, all_mutants, mutant
from cbtproofs.mutants.harmless import NOT_FOUND_YET
from cbtproofs.mutants.kill_matrix.killers import OF_MISTAKES, OF_MUTANTS, Kill
from cbtproofs.mutants.kill_matrix.matrix import IN_IMPLEMENTATION, IN_MODEL, Row

HEAD = """\
# The kill matrix

<!-- Written by `python -m cbtproofs.mutants.kill_matrix matrix`. Do not edit. -->

Who checks the checkers? Each of these mistakes was seeded on purpose, and each checker was asked whether it finds it.
There are {mutants} mutants of the specification, {named} of them after real bugs and after the mistakes of the
implementation, {by_rule} made by rule (each guard removed, each union turned into each operand, each transition
skipped, …); and {mistakes} mistakes in the reference implementation. Every run begins with the right specification
and implementation, in which no checker may find anything, and with a canary, `{canary}`, which
all must find.

A number says how much the checker had looked at when it found the mistake; it stops there. A dash: it looked at
everything and found nothing. A mutant of the specification is applied to the functions that run, and then

| Checker | does this | and counts |
|---|---|---|
| tour | plays the tour of the *right* specification on the right implementation; the mutant judges | walks |
| stateful | the same with what the Hypothesis machine draws; every property is checked, too | scenarios |
| proof | proves everything by execution on the universal disk | scenes |
| explorer | explores small scopes; every property, and what is to be seen sometimes | states |
| refinement | walks mutant and right implementation side by side | edges |

A mistake of the implementation has the right specification against it: in the tour (then in every write history of
up to 8 writes, counted as one walk), in what is drawn, and in the walks of refinement. CrossHair has mistakes of its
own, below. The shortest scenario is the shortest that any of them came upon (for the implementation, the one that is
kept, see [seeded mistakes](seeded-mistakes.md)).

The proof says of each command what it does, no more and no less, and when it is refused. The explorer looks at the
specification by itself, too, with the properties only: it cannot know that a command should have been refused, if
nothing that must hold breaks when it is not. The tour, the drawn scenarios and refinement compare with
the implementation: they cannot know what is owed. That is why there are several.

"""

MODEL_CHECKERS, IMPLEMENTATION_CHECKERS = tuple(OF_MUTANTS), tuple(OF_MISTAKES)


def page(rows: Sequence[Row]) -> str:
    """The whole document."""
    return "".join(f"{part}\n" for part in parts(rows))


def parts(rows: Sequence[Row]) -> Iterator[str]:
    """The document from top to bottom, part by part."""
    in_model = [each for each in rows if each.where == IN_MODEL]
    named = [each for each in in_model if is_named(each.name)]
    by_name = {each.name: each for each in rows if each.where == IN_IMPLEMENTATION}
    yield HEAD.format(
        mutants=len(in_model), named=len(named), by_rule=len(in_model) - len(named), mistakes=len(by_name),
        canary=CANARY,
    ).rstrip() + "\n"  # fmt: skip
    yield "## In short\n\n" + summary(rows)
    names = dict.fromkeys((*(each.name for each in named), *by_name))
    of_model = {each.name: each for each in named}
    yield "## After real bugs\n\n" + NAMED_HEAD + "".join(
        named_row(name, of_model.get(name), by_name.get(name)) for name in names
    )
    yield "## By rule\n\n" + RULE_HEAD + "".join(rule_row(each) for each in in_model if not is_named(each.name))
    yield "## Found by nobody\n\n" + not_found_yet(rows)
    yield "## Nothing to find\n\n" + harmless(in_model)
    yield "## What CrossHair finds\n\n" + contracts()
    yield "## Every field bug\n\n" + field_bugs()


def is_named(name: str) -> bool:
    """Whether a mutant was written by hand, after a bug."""
    return ": " not in name


# In short


def summary(rows: Iterable[Row]) -> str:
    """How many mistakes each checker finds."""
    lines = ["| Checker | in the specification | in the implementation |\n|---|---|---|\n"]
    in_model, in_implementation = (
        [each for each in rows if each.where == where] for where in (IN_MODEL, IN_IMPLEMENTATION)
    )
    for checker in MODEL_CHECKERS:
        cells = (found_by(checker, in_model), found_by(checker, in_implementation))
        lines.append(f"| {checker} | {' | '.join(cells)} |\n")
    alone = [only_by(of, in_model) for of in MODEL_CHECKERS]
    lines.append(line(["nobody", nobody(in_model), nobody(in_implementation)]))
    only = ", ".join(f"{of} {count}" for of, count in zip(MODEL_CHECKERS, alone, strict=True) if count)
    unsafe = [each for each in rows if each.unsafe]
    longest = max((len(each.scenario) for each in unsafe), default=0)
    lines.append(
        f"\nMutants that one checker alone finds: {only or 'none'}. {len(unsafe)} mistakes lose data, as the "
        "explorer or the suite's verdict says; each of these is shown by a scenario of at most "
        f"{longest} commands.\n"
    )
    return "".join(lines)


def found_by(checker: str, rows: Iterable[Row]) -> str:
    """Such as "400 of 483"; nothing if it was not asked."""
    asked = [each.kills[checker] for each in rows if checker in each.kills]
    return f"{sum(each is not None for each in asked)} of {len(asked)}" if asked else ""


def nobody(rows: Iterable[Row]) -> str:
    """How many mistakes nobody finds, and how many of these are harmless."""
    left = [each.name for each in rows if each.survives]
    harmless = sum(name in EQUIVALENT for name in left)
    return f"{len(left)}, of which {harmless} are harmless" if left else "0"


def only_by(checker: str, rows: Iterable[Row]) -> int:
    """How many mistakes nobody else finds."""
    return sum([of for of, kill in each.kills.items() if kill is not None] == [checker] for each in rows)


# The tables

NAMED_HEAD = (
    "The first columns are the mutant of the specification, those with (i) the mistake of the implementation.\n\n"
    f"| Mistake | After | What is wrong | {' | '.join(MODEL_CHECKERS)} | "
    f"{' | '.join(f'{each} (i)' for each in IMPLEMENTATION_CHECKERS)} | Verdict | Shortest scenario |\n"
    f"|{'---|' * (3 + len(MODEL_CHECKERS) + len(IMPLEMENTATION_CHECKERS) + 2)}\n"
)
RULE_HEAD = (
    f"| Mutant | {' | '.join(MODEL_CHECKERS)} | Commands | Shortest scenario |\n"
    f"|{'---|' * (1 + len(MODEL_CHECKERS) + 2)}\n"
)


def named_row(name: str, of_model: Row | None, of_implementation: Row | None) -> str:
    """One line for a mutant and a mistake of the same name."""
    seeded = MISTAKES.get(name)
    bug = (seeded.bug if seeded is not None else "") or (mutant(name).field_bug if of_model is not None else "")
    story = seeded.story if seeded is not None else " ".join(mutant(name).docstring.split())
    shortest = min((each.scenario for each in (of_implementation, of_model) if each is not None), key=length)
    cells = [
        f"`{name}`", bug, story, *kill_cells(of_model, MODEL_CHECKERS),
        *kill_cells(of_implementation, IMPLEMENTATION_CHECKERS),
        "" if seeded is None else seeded.verdict.value, numbered(shortest),
    ]  # fmt: skip
    return line(cells)


def rule_row(row: Row) -> str:
    """One line for a mutant by rule."""
    commands = str(len(row.scenario)) if row.scenario else ""
    return line([f"`{row.name}`", *kill_cells(row, MODEL_CHECKERS), commands, numbered(row.scenario)])


def length(scenario: tuple[str, ...]) -> int:
    """How long a scenario is; none is longer than any."""
    return len(scenario) or 1 << 30


def kill_cells(row: Row | None, checkers: Iterable[str]) -> list[str]:
    """What each of the checkers said."""
    return [kill_cell(row, each) for each in checkers]


def kill_cell(row: Row | None, checker: str) -> str:
    """How much it had looked at; a dash if it found nothing; nothing if it was not asked."""
    if row is None or checker not in row.kills:
        return ""
    kill: Kill | None = row.kills[checker]
    return "-" if kill is None else f"{kill.looked_at:,}"


def numbered(scenario: tuple[str, ...]) -> str:
    """Commands, one on a line."""
    return "<br>".join(f"{number}. {each}" for number, each in enumerate(scenario, 1))


def line(cells: Iterable[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(each.replace('|', chr(92) + '|') for each in cells)} |\n"


def cells_of(text: str) -> list[str]:
    """The cells of a row of a table, as they were given to `line`."""
    return [each.strip().replace("\\|", "|") for each in re.split(r"(?<!\\)\|", text.strip())[1:-1]]


# What is left


def not_found_yet(rows: Iterable[Row]) -> str:
    """The mistakes that nobody finds although they are not harmless."""
    left = [each.name for each in rows if each.survives and each.name not in EQUIVALENT]
    if not left:
        return "Nothing: whatever nobody finds is harmless, see below.\n"
    lines = [line([f"`{name}`", NOT_FOUND_YET.get(name, "**not explained**")]) for name in left]
    return "These are gaps, to be closed:\n\n| Mistake | What is missing |\n|---|---|\n" + "".join(lines)


def harmless(rows: Iterable[Row]) -> str:
    """The mutants that do the same as the right specification, and why."""
    reasons: dict[str, list[str]] = {}
    for each in rows:
        if each.name in EQUIVALENT:
            finders = ", ".join(of for of, kill in each.kills.items() if kill is not None)
            remark = f" (found by: {finders})" if finders else ""
            reasons.setdefault(EQUIVALENT[each.name], []).append(f"`{each.name}`{remark}")
    lines = [line([reason, "<br>".join(names)]) for reason, names in reasons.items()]
    text = (
        "These do the same as the right specification in every state that can be reached. The proof, which begins in "
        "any state that satisfies the invariant, reached or not, objects to some of them all the same.\n\n"
    )
    return text + "| Why | Mutants |\n|---|---|\n" + "".join(lines)


def contracts() -> str:
    """The mistakes that are seeded in functions under contract."""
    text = (
        f"CrossHair holds the implementation's functions against their contracts, symbolically. It has "
        f"{len(CONTRACT_MISTAKES)} mistakes of its own, at least one in each function under contract; a test seeds "
        "them and asks for the counterexample ([contracts](contracts.md)).\n\n"
    )
    head = "| Mistake | Contract that does not hold then |\n|---|---|\n"
    rows = (line([in_one_line(each.name), f"`{each.contract}`"]) for each in CONTRACT_MISTAKES)
    return text + head + "".join(rows)


def in_one_line(name: str) -> str:
    """The name of a mistake that shows source, which may have several lines."""
    return " ".join(name.split())


def field_bugs() -> str:
    """Every field bug, and where it is."""
    where: dict[str, dict[str, None]] = {bug: {} for bug in NOT_APPLICABLE}
    for name, bug in (*((each.name, each.field_bug) for each in all_mutants()),
                      *((each.name, each.bug) for each in MISTAKES.values())):  # fmt: skip
        if bug:
            where.setdefault(bug, {})[name] = None
    lines = [
        line([bug, "<br>".join(f"`{each}`" for each in where[bug]), NOT_APPLICABLE.get(bug, "")])
        for bug in sorted(where, key=lambda bug: (bug[0], int(bug[1:])))
    ]
    return "| Bug | Mistakes after it | Why the specification has none |\n|---|---|---|\n" + "".join(lines)
