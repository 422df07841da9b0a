"""`python -S -E tests/conformance/hostile NAME` is the hostile adapter of that name (`hostile` lists them)."""

from __future__ import annotations

import sys

from registry import HOSTILE

if __name__ == "__main__":
    HOSTILE[sys.argv[1]]().main()
