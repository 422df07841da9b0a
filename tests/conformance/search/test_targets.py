"""The targets of jobs that have ended: an id may be used again at once, and each job has a target of its own."""

from cbtcheck.adapter import ACCEPTED, Hint, Performed
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtcheck.follow.restore import Contents
from cbtmodel import commands as c

FULL = c.StartBackup("j", "disk0", "full")
COPY = c.Copy("j", 0, 32768)


TRACE = (FULL, c.CancelJob("j"), FULL, COPY)


class InOneGo(ReferenceAdapter):
    """Where a job is started, another one of that id was there before, and has copied nothing."""

    def reset(self, disks: dict[str, int]) -> None:
        super().reset(disks)
        self.targets: list[bytes] = []

    def perform(self, command: c.Command, hint: Hint) -> Performed:
        for each in TRACE:
            if super().perform(each, hint).ended:
                self.targets.append(super().target("j"))
        return Performed(tuple((each, ACCEPTED) for each in TRACE), (("j", "cancelled"), ("j", "completed")))

    def target(self, job: str) -> bytes:
        return self.targets.pop(0)


def test_two_jobs_of_an_id_that_end_in_one_step_are_each_compared_with_their_own_target() -> None:
    adapter = InOneGo()
    player = Player(adapter)
    player.begin({"disk0": 32768})
    assert player.play_steps([FULL]) == []
    assert adapter.targets == []


def test_a_target_is_asked_for_once_and_only_if_a_job_has_ended() -> None:
    adapter = InOneGo()
    adapter.targets = [b"one", b"two", b"three"]
    contents = Contents(adapter, {})
    assert contents.target("j") is None
    contents.forget(["j", "j"])
    assert [contents.target("j", number) for number in (1, 0, 1, 2)] == [b"two", b"one", b"two", None]
    assert adapter.targets == [b"three"]
