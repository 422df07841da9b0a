"""Programs that nobody trusts, started and supervised: limits, and no trace of them afterwards."""

from cbtcheck.host.child.limits import Limits
from cbtcheck.host.child.process import CannotStart, Child, ChildBroken

__all__ = ["CannotStart", "Child", "ChildBroken", "Limits"]
