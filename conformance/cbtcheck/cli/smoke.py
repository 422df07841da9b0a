"""`cbtspec smoke`: is the adapter right?"""

from __future__ import annotations

import click

from cbtcheck.adapter import AdapterUnusable
from cbtcheck.cli.imports import importing
from cbtcheck.cli.program import Program, check_program, program_options
from cbtcheck.scenario.verdict import EXIT_CODES

EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["conformant"]:>3}  fit for cbtspec check
  {EXIT_CODES["unsafe or diverging"]:>3}  the implementation is wrong: the adapter keeps to the protocol
  {EXIT_CODES["broken"]:>3}  the adapter is wrong: it does not keep to the protocol
  {EXIT_CODES["usage"]:>3}  usage: cbtspec was not called as it can be, or the program cannot be started
  {EXIT_CODES["interrupted"]:>3}  interrupted by Ctrl-C
"""


@click.command(name="smoke", epilog=EPILOG)
@click.argument("adapter", metavar="exec")
@click.option("--format", "form", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True,
              help="The result on stdout.")  # fmt: skip
@program_options
def smoke_command(adapter: str, form: str, program: Program) -> int:
    """Tries a few exchanges with an adapter: is the adapter right, and what is behind it?

    cbtspec smoke exec -- ./my-adapter
    """
    if adapter != "exec":
        raise click.UsageError(f"Only programs can be tried, not '{adapter}': smoke exec -- ./my-adapter")
    check_program(adapter, program)
    with importing():
        from cbtcheck.report.plain_console import PlainConsole
        from cbtcheck.smoke.printed import print_smoke, to_json
        from cbtcheck.smoke.smoke import smoke
    try:
        result = smoke(program.command, program.limits)
    except AdapterUnusable as problem:
        raise click.ClickException(str(problem)) from None
    if form == "json":
        click.echo(to_json(result, program.command), nl=False)
    else:
        print_smoke(result, PlainConsole(), program.command)
    return result.code
