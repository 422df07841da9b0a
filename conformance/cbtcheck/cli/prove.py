"""`cbtspec prove`: all theorems about the specification on the command line."""

from __future__ import annotations

import click

from cbtcheck.cli.imports import importing
from cbtcheck.cli.proofs_extra import need
from cbtcheck.scenario.verdict import EXIT_CODES

EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["conformant"]:>3}  every theorem is proved, by both provers alike, and every seeded mistake is found
  {EXIT_CODES["unsafe or diverging"]:>3}  a theorem fails, the provers disagree, one gives up, or a proof says nothing
  {EXIT_CODES["usage"]:>3}  usage: cbtspec was not called as it can be, or Z3 is not installed
  {EXIT_CODES["interrupted"]:>3}  interrupted by Ctrl-C
"""


@click.command(name="prove", epilog=EPILOG)
@click.option("--only", metavar="ID", help="Prove this theorem, and that the specification looks into no set.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N",
              help="Prove in so many processes at a time (default: as many as there are processors).")
@click.option("--again", is_flag=True,
              help="Prove anew what was proved before from the same sources, as is to be done in CI.")
@click.option("--format", "form", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True,
              help="The report on stdout.")  # fmt: skip
def prove_command(only: str | None, jobs: int | None, again: bool, form: str) -> int:
    """Proves every theorem about the specification, for disks of every size and every history.

    What is about blocks is proved twice, by plain execution on the universal disk and by Z3 on one arbitrary block,
    and the two must agree on every obligation. What is about bytes and granules is proved by Z3 of every 64-bit
    integer. The proofs themselves are checked: a seeded mistake for each theorem must make it fail.

    A result is kept in the user's cache ($XDG_CACHE_HOME/cbtspec) with a digest of the sources and of the versions of
    Python and Z3. As long as nothing of that changes it is shown again, and says so.
    """
    need("prove", "z3")
    with importing():
        from cbtcheck.cli import proving
    return proving.prove(only, form, jobs, again)
