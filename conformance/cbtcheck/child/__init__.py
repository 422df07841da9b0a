"""Programs that nobody trusts, started and supervised: limits, and no trace of them afterwards."""

from cbtcheck.child.limits import Limits
from cbtcheck.child.process import CannotStart, Child, ChildBroken

__all__ = ["CannotStart", "Child", "ChildBroken", "Limits"]
