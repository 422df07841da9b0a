"""A transaction of any length, part by part: what drains, each action, and the commit.

Between two actions not all of what must hold holds yet, and nothing is in flight. So it has to be proved that the
drain leads there, that every action stays there, and that the commit leads to a legal state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cbtmodel import commands as c
from cbtmodel.claims import Fact, Inclusion
from cbtmodel.node import State
from cbtmodel.refusal import Refused
from cbtmodel.step import Step
from cbtmodel.transaction import commit, drain_all, prepare

from cbtproofs.inductive.casts import Cast
from cbtproofs.inductive.instants import always
from cbtproofs.inductive.obligations import Act
from cbtproofs.inductive.script import Claim, Prover, Script


def part(function: Callable[[State[Any]], Any]) -> Act:
    """A part of a transaction, as if it were a step."""

    def act(state: State[Any], command: Any) -> Step[Any]:
        try:
            after = function(state)
        except Refused as refusal:
            return Step(state, refusal)
        return Step(after[0], None, after[1]) if isinstance(after, tuple) else Step(after)

    return act


def preparing(action: c.Action) -> Act:
    """The preparation of an action."""

    def prepared(state: State[Any]) -> State[Any]:
        return prepare(state, action, ())

    return part(prepared)


def committing() -> Act:
    """The commit, after whatever actions."""

    def committed(state: State[Any]) -> Any:
        return commit(state, tuple(state.jobs))

    return part(committed)


def draining() -> Act:
    """The drain."""
    return part(lambda state: drain_all(state))


def drains(cast: Cast) -> Script:
    """When all disks have been drained, nothing is in flight."""

    def claims(prover: Prover, state: State[Any]) -> Iterator[Claim]:
        after = drain_all(state)
        for node_name, node in after.nodes.items():
            yield Fact(f"{node_name}: drained, so no write is in flight", not node.writes)
        for job_id, job in after.jobs.items():
            yield Inclusion(f"{job_id}: drained, so no copy is in flight", job.copying, prover.space.empty)

    return always(cast, "POINT-IN-TIME", claims)
