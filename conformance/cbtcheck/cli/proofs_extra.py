"""What the extra `proofs` brings (Z3 and CrossHair), and what is said where it is not installed."""

from __future__ import annotations

import importlib.util

from cbtcheck.cli.problem import Problem

MODULES = {"z3": "Z3", "crosshair": "CrossHair"}


def need(command: str, *modules: str) -> None:
    """Raises `Problem`, which says in one line what to install, if one of these modules is not there."""
    lacking = [MODULES[each] for each in modules if importlib.util.find_spec(each) is None]
    if lacking:
        raise Problem(
            f"{command} needs {' and '.join(lacking)}: pip install 'cbtspec[proofs]' "
            f"(in a checkout, ./run cbtspec {command} installs it)"
        )
