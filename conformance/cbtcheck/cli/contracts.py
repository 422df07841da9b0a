"""`cbtspec contracts`: the contracts of the reference implementation, checked by CrossHair, on the command line."""

from __future__ import annotations

import click
from cbtproofs.contracts.runner import GROUPS

from cbtcheck.cli.imports import importing
from cbtcheck.cli.proofs_extra import need
from cbtcheck.scenario.verdict import EXIT_CODES

EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["conformant"]:>3}  every contract is as good as is expected of it; with --mistakes: each is found
  {EXIT_CODES["unsafe or diverging"]:>3}  a counterexample, or not confirmed as expected; a mistake that is not found
  {EXIT_CODES["broken"]:>3}  not checked: preconditions that cannot be met, or CrossHair crashed or hung
  {EXIT_CODES["usage"]:>3}  usage: cbtspec was not called as it can be, or CrossHair is not installed
  {EXIT_CODES["interrupted"]:>3}  interrupted by Ctrl-C
"""


@click.command("contracts", epilog=EPILOG)
@click.option("--only", metavar="NAME", help=f"Only this contract, or those of one part: {', '.join(GROUPS)}.")
@click.option("--mistakes", is_flag=True, help="Instead: seed each known mistake, and see if a contract finds it.")
@click.option("--format", "form", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True,
              help="The report on stdout.")  # fmt: skip
def contracts_command(only: str | None, mistakes: bool, form: str) -> int:
    """Checks the contracts of the reference implementation with CrossHair, each within a fixed budget.

    A contract is about one arbitrary byte, granule or cluster. "confirmed" is: on all paths.
    """
    with importing():
        from cbtcheck.cli import contracts_checked as checked
    names = checked.names(only)
    need("contracts", "crosshair", "z3")
    return checked.check(names, mistakes, form)
