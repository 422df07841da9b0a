"""The specification of changed block tracking. Read it in this order:

blocks, bitmap, backup, commands, loops, node, jobs, transaction, step, properties.
"""

from cbtmodel.blocks import BlockSet, Frozensets, Space
from cbtmodel.commands import Command
from cbtmodel.node import State, initial
from cbtmodel.step import Step, step

__all__ = ["BlockSet", "Command", "Frozensets", "Space", "State", "Step", "initial", "step"]
