"""Draws that depend on the seed alone, not on what else the process has loaded.

Hypothesis also tries constants that it finds in the source of whatever modules of the project are loaded
(`hypothesis.internal.conjecture.providers`, since 6.131). That is a good idea for most tests. Here it would mean that
the same seed draws other scenarios in somebody else's test run than in ours, or when tests run in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis.internal.conjecture import providers


@contextmanager
def from_the_seed_alone() -> Iterator[None]:
    """While this lasts, Hypothesis knows no constants of modules. Versions that look for none are left alone."""
    found = getattr(providers, "_get_local_constants", None)
    if found is None:
        yield
        return
    from hypothesis.internal.constants_ast import Constants

    none = Constants()
    providers._get_local_constants = lambda: none
    providers.CONSTANTS_CACHE.cache.clear()
    try:
        yield
    finally:
        providers._get_local_constants = found
        providers.CONSTANTS_CACHE.cache.clear()
