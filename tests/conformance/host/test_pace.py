"""Deadlines that are stretched as much as the machine is slow, on a clock that is moved by hand."""

from __future__ import annotations

import pytest
from cbtcheck.host.pace import MOST, NOTHING, PARTS, ROUNDS, Patience, ThisMachine


class ByHand:
    """A machine whose time passes when the test says so."""

    def __init__(self, slowdown: float = 1.0) -> None:
        self.time, self.is_slow, self.measured = 100.0, slowdown, 0

    def now(self) -> float:
        return self.time

    def slowdown(self) -> float:
        self.measured += 1
        return self.is_slow

    def strikes(self, patience: Patience, most_steps: int = 10_000) -> float:
        """Waits in the steps that it asks for; after how many seconds it expired."""
        begun = self.time
        for _ in range(most_steps):
            self.time += patience.step()
            if patience.expired():
                return self.time - begun
        raise AssertionError("it never expires")


@pytest.mark.parametrize("seconds", [0.2, 1.0, 10.0, 60.0])
def test_on_an_idle_machine_it_is_exact(seconds: float) -> None:
    machine = ByHand()
    assert machine.strikes(Patience(seconds, machine)) == pytest.approx(seconds)
    assert machine.measured == PARTS


@pytest.mark.parametrize("slowdown", [2.0, 5.5, 30.0])
def test_it_is_stretched_as_much_as_the_machine_is_slow(slowdown: float) -> None:
    machine = ByHand(slowdown)
    took = machine.strikes(Patience(10.0, machine))
    assert took == pytest.approx(10.0 * slowdown, rel=1 / PARTS)


def test_load_that_comes_and_goes_is_in_the_way_while_it_is_there() -> None:
    machine = ByHand(10.0)
    patience = Patience(8.0, machine)
    for _ in range(20):  # twenty seconds under load are two
        machine.time += 1.0
        assert not patience.expired()
    machine.is_slow = 1.0
    machine.time += 1.0
    assert not patience.expired()  # a part that began under load counts as one under load
    assert machine.strikes(patience) == pytest.approx(6.0)


def test_load_that_begins_within_a_part_counts_for_all_of_it() -> None:
    machine = ByHand()
    patience = Patience(8.0, machine)
    machine.time, machine.is_slow = machine.time + 1.0, 10.0
    assert not patience.expired()
    machine.is_slow = 1.0
    machine.time += 1.0
    assert not patience.expired()
    assert machine.strikes(patience) == pytest.approx(8.0)


def test_who_was_stopped_has_seen_nothing() -> None:
    machine = ByHand()
    patience = Patience(8.0, machine)
    machine.time += 3600.0
    assert not patience.expired()
    assert machine.strikes(patience) == pytest.approx(7.0)


def test_it_is_never_over_too_soon() -> None:
    machine = ByHand(0.1)  # nonsense: nothing is faster than an idle machine
    assert machine.strikes(Patience(10.0, machine)) == pytest.approx(10.0)


def test_a_hang_ends_in_any_case() -> None:
    machine = ByHand(1e9)
    assert machine.strikes(Patience(1.0, machine)) == pytest.approx(MOST, rel=0.2)


def test_small_steps_of_the_callers_own_count_as_large_ones_do() -> None:
    machine = ByHand(4.0)
    patience, steps = Patience(2.0, machine), 0
    while not patience.expired():
        machine.time += 0.01
        steps += 1
    assert steps == pytest.approx(800, rel=0.05)
    assert machine.measured == pytest.approx(4 * PARTS, abs=1)


def test_nothing_is_measured_while_answers_come_soon() -> None:
    machine = ByHand()
    patience = Patience(10.0, machine)
    machine.time += 1.0
    assert not patience.expired()
    assert machine.measured == 0


def test_what_lies_in_a_pause_does_not_count() -> None:
    machine = ByHand()
    patience = Patience(8.0, machine)
    machine.time += 0.5
    patience.pause()
    for _ in range(100):
        machine.time += 1.0
        assert not patience.expired()
    patience.go_on()
    patience.go_on()
    assert machine.strikes(patience) == pytest.approx(7.5)


def test_no_time_at_all() -> None:
    machine = ByHand()
    assert Patience(0.0, machine).expired()
    assert Patience(0.0, machine).step() == 0.0


def test_what_is_left() -> None:
    machine = ByHand(4.0)
    patience = Patience(8.0, machine)
    machine.time += 1.0
    assert not patience.expired()
    assert patience.left == pytest.approx(7.75)
    machine.time += 0.4
    assert not patience.expired()
    assert patience.left == pytest.approx(7.65)


def test_the_shorter_of_two_deadlines_strikes() -> None:
    for outer, inner in ((60.0, 10.0), (10.0, 60.0)):
        machine = ByHand()
        scenario = Patience(outer, machine)
        assert machine.strikes(Patience(inner, machine, within=scenario)) == pytest.approx(10.0)


def test_many_quick_answers_use_up_what_they_lie_within_and_no_more() -> None:
    """Each of them is too short to be measured; all together are not."""
    machine = ByHand(6.0)
    scenario, answers = Patience(60.0, machine), 0
    scenario.pause()
    while scenario.left:
        scenario.go_on()
        Patience(10.0, machine, within=scenario)
        machine.time += 0.1
        scenario.pause()
        machine.time += 5.0
        answers += 1
    assert answers == pytest.approx(3600, rel=1 / PARTS)


def test_that_it_was_stretched_is_said() -> None:
    for slowdown, words in ((1.0, ""), (4.0, ", stretched to 40 s on this busy machine")):
        machine = ByHand(slowdown)
        patience = Patience(10.0, machine)
        machine.strikes(patience)
        assert patience.stretched == words


# The measurement


class Clocks:
    """The clocks of `time`: each look at the processor's moves it by `step`, and the other by `share` times that."""

    def __init__(self, step: float, share: float) -> None:
        self.step, self.share = step, share
        self.given = 0.0

    def thread_time(self) -> float:
        self.given += self.step
        return self.given

    def monotonic(self) -> float:
        return self.given * self.share


@pytest.mark.parametrize(
    ("rounds", "share", "found"),
    [
        (2 * ROUNDS, 1.0, 1.0),
        (2 * ROUNDS, NOTHING - 0.1, 1.0),  # nothing to speak of
        (2 * ROUNDS, 6.0, 6.0),
        (ROUNDS // 3, 1.0, 3.0),  # all that it is given, of a processor that is slow
        (ROUNDS // 3, 2.0, 6.0),
    ],
)
def test_what_is_measured(monkeypatch: pytest.MonkeyPatch, rounds: int, share: float, found: float) -> None:
    clocks = Clocks(0.01 / rounds, share)
    monkeypatch.setattr("cbtcheck.host.pace.time", clocks)
    assert ThisMachine().slowdown() == pytest.approx(found, rel=0.1)


def test_this_machine_can_be_measured() -> None:
    machine = ThisMachine()
    before = machine.now()
    assert machine.slowdown() >= 1.0
    assert machine.now() > before
