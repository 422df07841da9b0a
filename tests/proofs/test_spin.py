"""SPIN, on the same system written again in Promela, comes to the same numbers: the benchmark compares like and like.

Equal numbers do not make equal graphs: arrows could lead elsewhere. They are what can be compared with SPIN.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from cbtproofs.explorer.breadth_first import explore
from cbtproofs.explorer.scopes import Scope

SCRIPT = Path(__file__).parents[2] / "benchmarks/explorer.py"

pytestmark = pytest.mark.skipif(
    shutil.which("spin") is None or shutil.which("gcc") is None, reason="needs spin and gcc (apt install spin gcc)"
)


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_explorer", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def counted(blocks: int) -> tuple[int, int]:
    scope = Scope(blocks, alphabet="small")
    explored = explore(scope.initial(), scope.commands)
    return len(explored.states), explored.transitions


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_spin_counts_the_same_states_and_transitions(benchmark: ModuleType, blocks: int) -> None:
    cost = benchmark.spin(blocks)
    assert (cost.states, cost.transitions) == counted(blocks)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("copied(todo & (here)); intact", "intact"),
        ("CAN_COPY(here) -> copied(here); settle()", "CAN_COPY(here) -> copied(here)"),
        (":: mode == mode_never -> phase = pending", ":: mode == mode_never -> complete()"),
    ],
)
def test_another_system_comes_to_other_numbers(
    benchmark: ModuleType, right: str, wrong: str, tmp_path: Path
) -> None:
    text = benchmark.PROMELA.read_text()
    assert text.count(right) == 1
    other = tmp_path / "other.pml"
    other.write_text(text.replace(right, wrong))
    cost = benchmark.spin(2, other)
    assert (cost.states, cost.transitions) != counted(2)
