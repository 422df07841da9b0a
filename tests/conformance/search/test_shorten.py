"""Making a failing scenario shorter and plainer."""

from dataclasses import replace

from cbtcheck.adapters.mistakes import MISTAKES, NARROW
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.run.hunting import player_of
from cbtcheck.scenario.scenario import Restore, Scenario
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.families.long import history
from cbtcheck.search.fewer import named, without
from cbtcheck.search.shorten import COMMANDS, WHOLE_PLAYS, fails_on, shorten
from cbtmodel import commands as c

CAPABILITIES = ReferenceAdapter.capabilities
LONG = Scenario(
    {"disk0": 22016, "disk1": 32768},
    (
        c.AddBitmap("disk1", "other", 8192, False),
        c.AddBitmap("disk0", "mine", 512, False),
        c.Transaction((c.EnableBitmap("disk0", "mine"), c.ClearBitmap("disk1", "other"))),
        c.StartBackup("x", "disk1", "full", cluster=512, auto_finalize=False, on_source_error="stop"),
        c.Write("disk0", 4096, 4095, "zeroes"),
        c.PauseJob("x"),
        c.StartBackup("y", "disk0", "bitmap", "mine", "on-success", cluster=512, on_target_error="ignore"),
        c.CancelJob("x"),
        c.BeginWrite("disk0", "late", 512, 1024),
        c.EndWrite("disk0", "late"),
        c.CancelJob("y"),
    ),
)


def fails_if(condition: object, verdict: Verdict = Verdict.UNSAFE):  # type: ignore[no-untyped-def]
    return lambda scenario: verdict if condition(scenario) else None  # type: ignore[operator]


def test_a_long_scenario_becomes_the_short_one_that_a_person_would_write() -> None:
    fails = fails_on(player_of(MISTAKES["drop-successor-on-failure"]))
    assert fails(LONG) is Verdict.UNSAFE
    short = shorten(LONG, fails, CAPABILITIES)
    assert fails(short) is Verdict.UNSAFE
    assert short.disks == {"disk0": 32768}
    assert len(short.commands) == 5
    assert short.commands[0] == c.AddBitmap("disk0", "b0", 4096)
    assert isinstance(short.commands[2], c.StartBackup)
    assert short.commands[-1] == c.CancelJob("j0")


def test_the_same_scenario_gives_the_same_result() -> None:
    fails = fails_on(player_of(MISTAKES["drop-successor-on-failure"]))
    assert shorten(LONG, fails, CAPABILITIES) == shorten(LONG, fails, CAPABILITIES)


def test_a_result_cannot_be_made_shorter_again() -> None:
    fails = fails_on(player_of(MISTAKES["drop-successor-on-failure"]))
    short = shorten(LONG, fails, CAPABILITIES)
    assert shorten(short, fails, CAPABILITIES) == short


def test_a_scenario_that_does_not_fail_comes_back_as_it_is() -> None:
    assert shorten(LONG, lambda scenario: None) is LONG


def test_the_verdict_stays_the_same() -> None:
    def fails(scenario: Scenario) -> Verdict:
        return Verdict.UNSAFE if any(isinstance(each, c.PauseJob) for each in scenario.commands) else Verdict.DIVERGES

    assert shorten(LONG, fails).commands == (c.PauseJob("x"),)


def test_commands_that_only_make_sense_together_are_dropped_together() -> None:
    def in_pairs(scenario: Scenario) -> bool:
        pauses = sum(isinstance(each, c.PauseJob) for each in scenario.commands)
        return pauses == sum(isinstance(each, c.ResumeJob) for each in scenario.commands)

    pairs = Scenario({"d": 512}, (c.PauseJob("j"), c.ResumeJob("j")) * 3)
    assert shorten(pairs, fails_if(in_pairs)).commands == ()


def test_actions_are_dropped_and_a_transaction_of_one_becomes_its_action() -> None:
    def clears(scenario: Scenario) -> bool:
        return "ClearBitmap" in repr(scenario.commands)

    short = shorten(LONG, fails_if(clears))
    assert [type(each) for each in short.commands] == [c.ClearBitmap]


def test_every_field_becomes_as_plain_as_it_can() -> None:
    start = c.StartBackup("backup-of-monday", "disk1", "bitmap", "b", "always", 512, False, "stop", "ignore")
    scenario = Scenario(
        {"disk0": 32768, "disk1": 32768}, (start, c.Write("disk1", 20000, 9000, "discard", "ignored"))
    )

    def both(scenario: Scenario) -> bool:
        return [type(each) for each in scenario.commands] == [c.StartBackup, c.Write]

    short = shorten(scenario, fails_if(both), CAPABILITIES)
    assert short == Scenario({"disk0": 32768}, (c.StartBackup("j0", "disk0", "full", cluster=4096),
                                                c.Write("disk0", 0, 1)))  # fmt: skip


def test_names_are_replaced_everywhere() -> None:
    scenario = Scenario(
        {"d": 4096},
        (
            c.AddBitmap("d", "weekly", 512),
            c.MergeBitmaps("d", "weekly", (c.Source("d", "weekly"),)),
            c.StartBackup("monday", "d", "incremental", "weekly"),
            Restore(("monday",)),
        ),
    )

    def four(scenario: Scenario) -> bool:
        return len(scenario.commands) == 4 and scenario.commands[3] != Restore(()) and "Source" in repr(scenario)

    short = shorten(scenario, fails_if(four))
    assert "weekly" not in repr(short)
    assert short.commands[3] == Restore(("j0",))


def test_the_number_of_replays_is_bounded() -> None:
    played = 0

    def fails(scenario: Scenario) -> Verdict:
        nonlocal played
        played += 1
        return Verdict.UNSAFE

    shorten(LONG, fails, CAPABILITIES, replays=10)
    assert played <= 11


class Counting:
    """Fails as it is told to, and counts what was played."""

    def __init__(self, fails: object) -> None:
        self._fails, self.plays, self.commands = fails, 0, 0

    def __call__(self, scenario: Scenario) -> Verdict | None:
        self.plays += 1
        self.commands += len(scenario.commands)
        return self._fails(scenario)  # type: ignore[operator,no-any-return]


def in_this_order(needed: list[object]) -> object:
    """Fails if these commands are there, in this order, whatever is between them."""

    def fails(scenario: Scenario) -> bool:
        rest = iter(scenario.commands)
        return all(any(each == one for each in rest) for one in needed)

    return fails_if(fails)


def test_six_commands_are_found_in_a_history_of_a_thousand() -> None:
    long = history(CAPABILITIES, 20160121, 1, 1000)
    needed = [c.AddBitmap("disk0", "b7", 512), c.Write("disk0", 0, 7), c.DisableBitmap("disk0", "b7"),
              c.EnableBitmap("disk0", "b7"), c.PauseJob("j7"), c.ClearBitmap("disk0", "b7")]  # fmt: skip
    commands: list[object] = list(long.commands)
    for number, each in enumerate(needed):
        commands.insert(150 * (number + 1), each)
    fails = Counting(in_this_order(needed))
    short = shorten(replace(long, commands=tuple(commands)), fails, replays=400)  # type: ignore[arg-type]
    assert len(short.commands) == 6
    assert fails.commands < COMMANDS


def test_a_mistake_that_shows_in_a_long_history_is_shown_by_a_few_commands() -> None:
    player = player_of(NARROW["third-reclaim-loses"])
    fails = Counting(fails_on(player))
    long = history(CAPABILITIES, 7, 0, 1000)
    assert fails(long) is Verdict.UNSAFE
    played = replace(long, commands=long.commands[: len(player.frames)])
    assert len(played.commands) > 400
    short = shorten(played, fails, replays=400)
    assert len(short.commands) <= 8, "three jobs that end badly, with what it takes to start them, and a write"
    assert fails(short) is Verdict.UNSAFE


def test_what_takes_256_of_a_kind_is_left_with_little_else() -> None:
    rounds = [(c.AddBitmap("d", f"n{each}", 512), c.Write("d", 0, 512), c.PauseJob("j"),
               c.RemoveBitmap("d", f"n{each}")) for each in range(300)]  # fmt: skip
    long = Scenario({"d": 4096, "e": 4096}, tuple(each for some in rounds for each in some))

    def many(scenario: Scenario) -> bool:
        return sum(isinstance(each, c.RemoveBitmap) for each in scenario.commands) >= 256

    fails = Counting(fails_if(many))
    short = shorten(long, fails, replays=400)
    assert len(short.commands) <= 270
    assert fails.commands <= WHOLE_PLAYS * len(long.commands) + COMMANDS


def test_all_of_an_object_goes_at_once() -> None:
    source = c.Source("disk0", "a")
    some = (
        c.AddBitmap("disk0", "a", 512), c.Transaction((c.ClearBitmap("disk0", "a"), c.ClearBitmap("disk1", "a"))),
        c.MergeBitmaps("disk1", "a", (source, c.Source("disk1", "b"))), c.MergeBitmaps("disk1", "a", (source,)),
        c.Transaction((c.EnableBitmap("disk0", "a"),)), c.Transaction(()), c.CancelJob("a"),
    )  # fmt: skip
    assert without(some, named, ("bitmap", "disk0", "a")) == (
        c.Transaction((c.ClearBitmap("disk1", "a"),)), c.MergeBitmaps("disk1", "a", (c.Source("disk1", "b"),)),
        c.Transaction(()), c.CancelJob("a"),
    )  # fmt: skip
