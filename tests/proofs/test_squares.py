"""The squares of the arithmetic are confirmed by CrossHair over all paths, and each can fail."""

from collections.abc import Callable

import pytest
from cbtimpl import granules
from cbtproofs.refinement import squares
from crosshair.core_and_libs import MessageType, analyze_function, run_checkables
from crosshair.options import AnalysisKind, AnalysisOptionSet

SECONDS = 600.0
"""The budget of each condition in processor time: many times what it takes. Only what is confirmed counts."""


def said_of(square: Callable[..., bool]) -> set[MessageType]:
    options = AnalysisOptionSet(
        analysis_kind=[AnalysisKind.PEP316], report_all=True, per_condition_timeout=SECONDS, per_path_timeout=SECONDS
    )
    return {message.state for message in run_checkables(analyze_function(square, options))}


each_square = pytest.mark.parametrize("square", squares.SQUARES, ids=lambda square: square.__name__)


@each_square
def test_a_square_is_confirmed_over_all_paths(square: Callable[..., bool]) -> None:
    assert said_of(square) == {MessageType.CONFIRMED}


def rounds_inwards(offset: int, length: int, granularity: int, size: int) -> tuple[int, int]:
    return granules.inside(offset, length, granularity, size)


def forgets_the_last(first: int, past: int, granularity: int, size: int) -> tuple[int, int]:
    return first * granularity, max(0, past - first - 1) * granularity


@pytest.mark.parametrize(
    ("square", "function", "wrong"),
    [
        (squares.recording_a_write, "covering", rounds_inwards),
        (squares.granules_as_bytes, "span", forgets_the_last),
        (squares.one_granularity_as_another, "covering", rounds_inwards),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_seeded_mistake_is_found(
    square: Callable[..., bool], function: str, wrong: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(granules, function, wrong)
    assert MessageType.POST_FAIL in said_of(square)
