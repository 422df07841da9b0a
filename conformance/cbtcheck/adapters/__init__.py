"""The adapters that come with the suite."""

from __future__ import annotations

from dataclasses import dataclass

from cbtcheck.adapter import Adapter, Capabilities
from cbtcheck.host.child import Limits

BUILT_IN = ("reference", "qemu")
"""What they claim is known before they are opened."""

NAMES = (*BUILT_IN, "exec")


def capabilities_of(name: str) -> Capabilities:
    """What the adapter of that name claims, without starting anything.

    Raises `LookupError` for an unknown name, and for `exec`: what a program claims it says itself.
    """
    if name == "reference":
        from cbtcheck.adapters.reference import ReferenceAdapter

        return ReferenceAdapter.capabilities
    if name == "qemu":
        from cbtcheck.adapters.qemu.adapter import QemuAdapter

        return QemuAdapter.capabilities
    raise LookupError(f"unknown adapter '{name}' (known: {', '.join(NAMES)})")


def open_adapter(
    name: str, *, daemon: str | None = None, mistake: str | None = None, command: tuple[str, ...] = (),
    limits: Limits | None = None, alignment: int = 1,
) -> Adapter:  # fmt: skip
    """The adapter of that name.

    `daemon` is the path of qemu-storage-daemon for `qemu`, `alignment` the sectors of its disks in bytes (1: none);
    `mistake` the name of a seeded mistake for `reference`; `command` and `limits` are the program and its arguments
    for `exec`, and what it may take. Raises `LookupError` for an unknown name, `AdapterUnusable` if the
    implementation cannot be started, `AdapterBroken` if it can and does not say who it is.
    """
    if name == "reference":
        from cbtcheck.adapters.reference import ReferenceAdapter

        if mistake is None:
            return ReferenceAdapter()
        from cbtcheck.adapters.mistakes import host_with

        return ReferenceAdapter(host_with(mistake), mistake)
    if name == "qemu":
        from cbtcheck.adapters.qemu.adapter import QemuAdapter

        return QemuAdapter(daemon, alignment)
    if name == "exec":
        from cbtcheck.adapters.exec import ExecAdapter

        return ExecAdapter(command, limits)
    raise LookupError(f"unknown adapter '{name}' (known: {', '.join(NAMES)})")


@dataclass(frozen=True)
class Opening:
    """How an adapter is opened, as data, so that every process of a run can open one of its own.

    `daemon`, `mistake` and `alignment` are as for `open_adapter`; `command` and `limits` are for adapters that start
    a program.
    """

    name: str
    daemon: str | None = None
    mistake: str | None = None
    command: tuple[str, ...] = ()
    limits: Limits | None = None
    alignment: int = 1

    def open(self) -> Adapter:
        """A new adapter. Raises what `open_adapter` does."""
        if self.name == "exec":
            return open_adapter(self.name, command=self.command, limits=self.limits)
        return open_adapter(self.name, daemon=self.daemon, mistake=self.mistake, alignment=self.alignment)
