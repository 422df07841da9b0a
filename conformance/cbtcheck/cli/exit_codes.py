"""The exit codes of all commands that play, as their help shows them."""

from __future__ import annotations

from cbtcheck.scenario.verdict import EXIT_CODES

EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["conformant"]:>3}  conformant: all that was run agrees
  {EXIT_CODES["wasteful"]:>3}  wasteful: safe, but more is reported than there need be
  {EXIT_CODES["unsafe or diverging"]:>3}  unsafe or diverging: a write is lost, or something is not as specified
  {EXIT_CODES["broken"]:>3}  broken: the implementation crashed, hung or answered garbage
  {EXIT_CODES["ledger"]:>3}  an expected failure in the ledger fails no more, or in another way
  {EXIT_CODES["not repeatable"]:>3}  not repeatable: something failed once, and not when it was played again
  {EXIT_CODES["incomplete"]:>3}  agrees, incomplete: nothing failed, but not all of the profile was played (--only)
  {EXIT_CODES["commands"]:>3}  unsafe (the commands): all agrees, and the scenario's backups do not give the disk back
  {EXIT_CODES["usage"]:>3}  usage: cbtspec was not called as it can be, or nothing could be run
  {EXIT_CODES["internal"]:>3}  a defect of cbtspec itself, with a traceback to report
  {EXIT_CODES["output"]:>3}  nothing failed, but a report, a scenario or standard output could not be written
  {EXIT_CODES["interrupted"]:>3}  interrupted by Ctrl-C or --time-limit; what was found until then is printed
"""
