"""A transaction is its actions, one by one and in their order, at one drained instant; its removals come at the end.

So whatever is proved of the parts (the drain, the preparation of each action, the commit) is proved of transactions
of any length; here the parts are put together once more, without a loop of the specification.
"""

from __future__ import annotations

from typing import Any

from cbtmodel import commands as c
from cbtmodel.claims import Fact, sets_of, without_sets
from cbtmodel.node import State
from cbtmodel.refusal import Refused
from cbtmodel.step import Step
from cbtmodel.transaction import commit, drain_all, prepare

from cbtproofs.effects.during import Claims, same_sets

ID = "COMPOSED"


def composed(before: State[Any], command: object, done: Step[Any]) -> Claims:
    """A transaction is its actions, one by one and in their order, at one drained instant; or it is refused."""
    if not isinstance(command, c.Transaction):
        return
    again = one_by_one(before, command)
    same = (again.refusal is None) == (done.refusal is None)
    yield Fact("refused exactly if one of its actions is", same)
    if again.refusal is None and done.refusal is None:
        for (where, expected), (_, now) in zip(sets_of(again.state), sets_of(done.state), strict=True):
            yield from same_sets(where, now, expected)
        yield Fact("the same but for sets", without_sets(again.state) == without_sets(done.state))
        ends = [sorted((end.job_id, end.outcome) for end in each.ended) for each in (again, done)]
        yield Fact("the same jobs end", ends[0] == ends[1])


def one_by_one(before: State[Any], command: c.Transaction) -> Step[Any]:
    """What comes of the actions, one after the other."""
    started = tuple(each.job for each in command.actions if isinstance(each, c.StartBackup))
    if command.grouped and len(started) < len(command.actions):
        return Step(before, Refused("invalid", "only backups end together"))
    state = drain_all(before)
    try:
        for each in command.actions:
            state = prepare(state, each, started if command.grouped else ())
    except Refused as refusal:
        return Step(before, refusal)
    after, ended = commit(state, (*before.jobs, *started))
    return Step(after, None, ended)
