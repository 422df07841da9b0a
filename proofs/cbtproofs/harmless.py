"""Mutants that are nothing to find, each with the reason in one line."""

from __future__ import annotations

EQUIVALENT: dict[str, str] = {}
"""Mutants by name, and why no property of the specification can fail: it does the same, or only refuses more."""
