"""The same seed draws the same scenarios, whatever else is loaded."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from cbtcheck.adapters import capabilities_of
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.machine import DEAL_SIZE, draw_scenarios


def drawn() -> list[Scenario]:
    found: list[Scenario] = []
    draw_scenarios(capabilities_of("reference"), found.append, seed=20160121, examples=60, steps=14)
    return found


def test_constants_of_other_modules_make_no_difference(tmp_path: Path) -> None:
    before = drawn()
    file = tmp_path / "somebody_elses.py"
    file.write_text("\n".join(f"C{n} = {bytes([n]) * DEAL_SIZE!r}" for n in range(200)))
    spec = importlib.util.spec_from_file_location("somebody_elses", file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["somebody_elses"] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        assert drawn() == before
    finally:
        del sys.modules["somebody_elses"]
    assert len(before) > 40
