"""Trace checking: a recorded history is judged, also where the order of what happened is known in part only.

Read it in this order: between, events, world, window, judgement, verifier; then own (our format) and qmp (QEMU's).
"""
