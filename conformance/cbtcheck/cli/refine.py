"""`cbtspec refine`: the reference implementation and the specification walk the same graph, edge by edge."""

from __future__ import annotations

import click
from cbtproofs.refinement.worlds import LISTS

from cbtcheck.cli.imports import importing
from cbtcheck.scenario.verdict import EXIT_CODES

EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["conformant"]:>3}  both agree on every edge
  {EXIT_CODES["unsafe or diverging"]:>3}  they part somewhere
  {EXIT_CODES["usage"]:>3}  usage: cbtspec was not called as it can be
  {EXIT_CODES["interrupted"]:>3}  interrupted by Ctrl-C
"""


@click.command(epilog=EPILOG)
@click.option("--worlds", "listed", type=click.Choice([*LISTS]), default="usual", show_default=True,
              help="How much to walk: seconds, about a minute, or minutes.")  # fmt: skip
@click.option("--mistake", metavar="NAME", help="A seeded mistake of the implementation, to see where it parts.")
@click.option("--format", "form", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True,
              help="The report on stdout.")  # fmt: skip
def refine(listed: str, mistake: str | None, form: str) -> int:
    """Walks the reference implementation and the specification through every command in every small state, and
    through all that happens to disks in images.

    After each command replies, ended jobs and states must agree, under the abstraction function of
    `cbtproofs.refinement.abstraction`. The walk ends where nothing new is found, or at
    the first disagreement, which is drawn.
    """
    with importing():
        from cbtcheck.cli import refined
    return refined.walk(listed, mistake, form)
