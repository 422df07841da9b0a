"""Which sessions of a monitor are about the same disks: the backups of these are followed from one to the next.

A session is about other disks if the name of its monitor is an address, as libvirt's are, and no file in it was there
before: addresses are used again. Where blocks are followed, also if a disk has another size.
"""

from __future__ import annotations

from collections.abc import Sequence

from cbtcheck.trace.sessions import ADDRESS, Session


def stretches(monitor: str, sessions: Sequence[Session], guest_seen: bool) -> list[dict[str, int]]:
    """For each session the disks, with sizes in bytes, of all that belong together: for these the same object."""
    found: list[dict[str, int]] = []
    sizes: dict[str, int] = {}
    files: set[str] = set()
    for session in sessions:
        disks = session.disks()
        its = {node: size for node, size in session.places.sizes.items() if node in disks}
        files_of_it = {file for node, file in session.places.files.items() if node in disks}
        resized = guest_seen and any(sizes.get(node, size) != size for node, size in its.items())
        if not found or resized or (monitor.startswith(ADDRESS) and not files & files_of_it):
            found.append({})
            sizes, files = {}, set()
        else:
            found.append(found[-1])
        files |= files_of_it
        for node, size in disks.items():
            if node not in found[-1] or (node in its and node not in sizes):
                found[-1][node] = size
        sizes |= its
    return found
