"""The page about hostile adapters: `python tests/conformance/hostile/page.py > docs/use/hostile-adapters.md`."""

from __future__ import annotations

from collections.abc import Iterator

from expected import EXPECTED, Expected
from registry import HOSTILE, MODULES, named

HEAD = """\
# Hostile adapters

`cbtspec` talks to programs that may be wrong in every way. These are {count} of them, each a class in
`tests/conformance/hostile/` that does rightly what it does not do wrongly on purpose. For each, a test asks for the
verdict, the exit code, and the words of the message that name the likely mistake. None but
those that do not answer is waited for until the deadline. Afterwards no process of it, no file descriptor, no
temporary file may be left, and the suite itself may not have grown. To try one:

    cbtspec smoke exec -- python3 tests/conformance/hostile never-answers

This page is generated from the classes and from what the test expects (`python tests/conformance/hostile/page.py >
docs/use/hostile-adapters.md`; a test makes it again).

Where the verdict is *agrees*, the adapter is right in all that can be asked, however odd: line ends of Windows are
taken, a log may be as long as it likes, and processes that are left behind are killed without a word in the
verdict. Two of them show what cannot be told: replies of an earlier run, played back to the very same scenarios (so
change the `--seed` now and then), and an implementation of which nothing can be made to happen: there is nothing to
judge then, and `cbtspec check` says that nothing was verified, and never that it is conformant.
"""

VERDICTS = {"agrees": "agrees (0)", "wasteful": "wasteful (1)", "diverges": "diverges (2)", "unsafe": "unsafe (2)",
            "broken": "broken (3)", "not repeatable": "not repeatable (5)"}  # fmt: skip


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD.format(count=len(HOSTILE)), *_tables()])


def _tables() -> Iterator[str]:
    for module in MODULES:
        title = (module.__doc__ or "").strip().rstrip(".").removeprefix("Adapters ")
        yield f"## Adapters {title}\n"
        yield "| adapter | what it does | verdict (exit code) | what is said of it |"
        yield "|---|---|---|---|"
        for kind in HOSTILE.values():
            if kind.__module__ == module.__name__:
                yield _row(named(kind), (kind.__doc__ or "").strip(), EXPECTED[named(kind)])
        yield ""


def _row(name: str, does: str, expected: Expected) -> str:
    words = f"“… {expected.words.replace('|', chr(92) + '|')} …”" if expected.words else ""
    when = f", {expected.when}" if expected.when else ""
    return f"| `{name}` | {does} | {VERDICTS[expected.verdict]}{when} | {words} |"


if __name__ == "__main__":
    print(page(), end="")
