"""Transactions: several commands at one instant, all or nothing.

Source: qemu-facts.md 2.7 and 5. Actions take effect one after the other, so later ones see earlier
ones; the first refusal undoes them in reverse order. The drain comes first, yet only for a transaction that will be
accepted: if anything is in flight, the actions are rehearsed and undone before the drain. No refusal depends on
what a drain does.
"""

from collections.abc import Sequence
from typing import assert_never

from cbtimpl.actions import (
    Abort,
    Action,
    Backup,
    BitmapAdd,
    BitmapClear,
    BitmapDisable,
    BitmapEnable,
    BitmapMerge,
    BitmapRemove,
)
from cbtimpl.arguments import flag
from cbtimpl.backup import Group
from cbtimpl.draining import Draining
from cbtimpl.errors import Aborted, Invalid
from cbtimpl.job_start import JobStart
from cbtimpl.operator_commands import OperatorCommands
from cbtimpl.state import Step


class Transactions(OperatorCommands, JobStart, Draining):
    """Transactions, and the start of a job, which is much like one."""

    def transaction(self, actions: Sequence[Action], grouped: bool = False) -> None:
        """Carry out all actions, or none: a refusal is that of the first action that is refused.

        `grouped`: its jobs end together; then "invalid" with any action but Backup and Abort.
        """
        self.check_actions(actions)
        if flag("grouped", grouped):
            self.check_grouping(actions)
        if self.anything_in_flight():
            self.undo(self.perform(actions, grouped))
        outcomes = self.drain_for_transaction()
        try:
            done = self.perform(actions, grouped)
        except OSError:  # the file of an image fails: copies have ended all the same
            self.after_drain(outcomes)
            raise
        for step in done:
            step.commit()
        self.after_drain(outcomes)

    def check_actions(self, actions: Sequence[Action]) -> None:
        """The schema: before any action is looked at by itself."""
        if isinstance(actions, str) or not isinstance(actions, Sequence):
            raise Invalid("Invalid parameter type for 'actions', expected: array")
        for action in actions:
            if not isinstance(action, Action):
                raise Invalid(f"Parameter 'type' does not accept value '{type(action).__name__}'")
            action.check()

    def check_grouping(self, actions: Sequence[Action]) -> None:
        """Only jobs can end together."""
        for action in actions:
            if not action.groups:
                raise Invalid(
                    f"Action '{action.kind}' does not support transaction property completion-mode = grouped"
                )

    def perform(self, actions: Sequence[Action], grouped: bool) -> list[Step]:
        """Let each action take effect; on a refusal undo those before it."""
        done: list[Step] = []
        together = Group()
        try:
            for action in actions:
                done.append(self.prepare(action, together if grouped else Group()))
        except Exception:
            self.undo(done)
            raise
        return done

    def undo(self, done: list[Step]) -> None:
        """Undo what took effect, last first."""
        for step in reversed(done):
            step.undo()

    def prepare(self, action: Action, group: Group) -> Step:
        """Let one action take effect."""
        match action:
            case BitmapAdd():
                return self.prepare_add(action)
            case BitmapRemove():
                return self.prepare_remove(action)
            case BitmapClear():
                return self.prepare_clear(action)
            case BitmapEnable():
                return self.prepare_enable(action)
            case BitmapDisable():
                return self.prepare_disable(action)
            case BitmapMerge():
                return self.prepare_merge(action)
            case Backup():
                return self.prepare_backup(action, group)
            case Abort():
                raise Aborted("Transaction aborted using Abort action")
            case _:
                assert_never(action)

    def start(self, action: Backup) -> None:
        """Start one job outside of a transaction: it drains its source alone."""
        action.check()
        node, _ = self.check_backup(action)
        outcomes = self.drain_for_backup(node)
        self.prepare_backup(action, Group()).commit()
        self.after_drain(outcomes)
