"""Judges backup tools: runs a tool's own commands on a real QEMU, with the guest and the faults in our hands."""
