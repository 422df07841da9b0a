"""The squares of the arithmetic are confirmed by CrossHair over all paths, and each can fail."""

from collections.abc import Callable

import pytest
from cbtimpl import granules
from cbtproofs.refinement import squares
from crosshair.core_and_libs import MessageType, analyze_function, run_checkables
from crosshair.options import AnalysisKind, AnalysisOptionSet
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

SECONDS = 60.0
"""The budget of each condition in processor time: a hundred times what it takes. Only what is confirmed counts."""


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


def beyond_the_end(first: int, past: int, granularity: int, size: int) -> tuple[int, int]:
    return first * granularity, (past - first) * granularity


@pytest.mark.parametrize(
    ("square", "function", "wrong"),
    [
        (squares.recording_a_write, "covering", rounds_inwards),
        (squares.granules_as_bytes, "span", forgets_the_last),
        (squares.granules_as_bytes, "span", beyond_the_end),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_seeded_mistake_is_found(
    square: Callable[..., bool], function: str, wrong: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(granules, function, wrong)
    assert MessageType.POST_FAIL in said_of(square)


SIZES = st.integers(1, 2**63 - 1) | st.integers(1, 64 * squares.BLOCK)
PER_GRANULE = st.integers(1, 2**22) | st.integers(1, 8) | st.sampled_from([1 << k for k in range(23)])


def is_taken_over(size: int, per_granule: int, per_cluster: int, data: st.DataObject) -> bool:
    """Of a granule and a block near it, one on the disk."""
    blocks = -(-size // squares.BLOCK)
    granule = data.draw(st.integers(0, (blocks - 1) // per_granule) | st.integers(0, 2**63 - 1))
    near = st.integers(granule * per_granule - per_cluster, (granule + 1) * per_granule + per_cluster)
    block = min(max(0, data.draw(near)), blocks - 1)
    return squares.taken_over(size, per_granule, block, per_cluster, granule)


@given(SIZES, PER_GRANULE, PER_GRANULE, st.data())
def test_one_granularity_is_taken_over_into_another(
    size: int, per_granule: int, per_cluster: int, data: st.DataObject
) -> None:
    assert is_taken_over(size, per_granule, per_cluster, data)


def test_that_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granules, "covering", rounds_inwards)

    @settings(phases=[Phase.generate])
    @given(SIZES, PER_GRANULE, PER_GRANULE, st.data())
    def holds(size: int, per_granule: int, per_cluster: int, data: st.DataObject) -> None:
        assert is_taken_over(size, per_granule, per_cluster, data)

    with pytest.raises(AssertionError):
        holds()
