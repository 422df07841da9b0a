"""QEMU's refusals as kinds, also those that only images know."""

from __future__ import annotations

import re

from cbtwire.qmp import kind_of_refusal

from cbtcheck.adapter import Reply
from cbtcheck.adapters.qemu.daemon import QmpRefused

OF_IMAGES = (
    (r"is readonly and cannot be modified|no write access to node|to read-only or inactive node", "read only"),
    (r"is inconsistent and cannot be used", "inconsistent"),
    (r"Duplicate nodes with node-name", "exists"),
    (r"Failed to find node with node-name|No such file or directory", "not found"),
)


def refused(refusal: QmpRefused) -> Reply:
    """The reply that a refusal is."""
    text = refusal.description
    kinds = (kind for pattern, kind in OF_IMAGES if re.search(pattern, text))
    return Reply(next(kinds, "") or kind_of_refusal(text), text)
