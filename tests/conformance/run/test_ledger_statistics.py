"""When not failing says that a defect is gone, and when it says nothing."""

from math import comb

import pytest
from cbtcheck.run.ledger.statistics import IMPROBABLE, Rate, rate


@pytest.mark.parametrize(
    ("counted", "tries", "probability"),
    [
        (Rate(25, 25), 1, 1 / 27),  # the rule of succession
        (Rate(1, 1), 1, 1 / 3),
        (Rate(4, 25), 1, 22 / 27),
        (Rate(0, 10), 3, 11 / 14),
        (Rate(7, 20), 0, 1.0),
    ],
)
def test_how_probable_it_is_that_a_defect_stays_quiet(counted: Rate, tries: int, probability: float) -> None:
    assert counted.quiet(tries) == pytest.approx(probability)


@pytest.mark.parametrize(("failed", "tries", "more"), [(25, 25, 7), (4, 25, 16), (7, 20, 60)])
def test_it_is_the_share_of_the_orders_in_which_all_failures_came_first(failed: int, tries: int, more: int) -> None:
    """The same number by counting: the failures of all tries, and how many orders have them among the first."""
    same = sum(comb(tries, failed) * comb(more, 0) / comb(tries + more, failed) for _ in range(1))
    assert Rate(failed, tries).quiet(more) == pytest.approx(same * (tries + 1) / (tries + more + 1))


@pytest.mark.parametrize(("counted", "tries"), [(Rate(25, 25), 7), (Rate(45, 45), 5)])
def test_a_defect_that_failed_in_each_of_many_tries_is_gone_after_a_few_without(counted: Rate, tries: int) -> None:
    assert counted.quiet(tries) <= IMPROBABLE < counted.quiet(tries - 1)


@pytest.mark.parametrize("counted", [Rate(4, 25), Rate(7, 20), Rate(1, 1), Rate(0, 105)])
def test_a_defect_that_failed_seldom_or_was_tried_once_is_not_gone_after_five_tries(counted: Rate) -> None:
    assert counted.quiet(5) > IMPROBABLE * 1000


def test_a_count_is_read_as_it_is_written() -> None:
    assert rate("4 of 25") == Rate(4, 25)
    assert str(Rate(4, 25)) == "4 of 25"


@pytest.mark.parametrize("text", ["", "4", "4/25", "26 of 25", "0 of 0", "-1 of 25", "all of 25"])
def test_what_is_no_count_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is no count"):
        rate(text)
