"""The reference implementation of changed block tracking: concrete, byte- and cluster-granular, with real data.

Independent of the specification, so that agreement between the two means something. Start with `Host`.
"""

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
from cbtimpl.errors import Exists, NotFound, Refused
from cbtimpl.host import Host
from cbtimpl.storage import Disk, FaultyDisk, MemoryDisk

__all__ = [
    "Abort",
    "Action",
    "Backup",
    "BitmapAdd",
    "BitmapClear",
    "BitmapDisable",
    "BitmapEnable",
    "BitmapMerge",
    "BitmapRemove",
    "Disk",
    "Exists",
    "FaultyDisk",
    "Host",
    "MemoryDisk",
    "NotFound",
    "Refused",
]
