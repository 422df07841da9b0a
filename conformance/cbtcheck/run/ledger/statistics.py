"""How often a known defect was seen to fail, and when its not failing says that it is gone.

A defect that needs luck does not fail in every try. That it did not fail five times says little if it used to fail
in every sixth try. So an entry records what was counted, and *gone* is said only where that would be improbable
otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

IMPROBABLE = 1e-6
"""Not failing counts as gone if it is no more probable than this, were the defect still there."""


@dataclass(frozen=True)
class Rate:
    """What was counted on one version: in `failed` of `tries` it failed. 0 <= failed <= tries, tries >= 1."""

    failed: int
    tries: int

    def __str__(self) -> str:
        return f"{self.failed} of {self.tries}"

    def quiet(self, tries: int) -> float:
        """How probable it is that it fails in none of so many further tries, if nothing has changed.

        The rate behind the count is not known; each is taken to be as likely as any other before the count
        (Bayes and Laplace: for one try this is the rule of succession). So a short count proves little.
        """
        probable = 1.0
        for number in range(tries):
            probable *= (self.tries - self.failed + 1 + number) / (self.tries + 2 + number)
        return probable


def rate(text: str) -> Rate:
    """A count as an entry writes it: "4 of 25". Raises `ValueError` if it is none."""
    found = re.fullmatch(r"(\d+) of (\d+)", text)
    if found is None:
        raise ValueError(f"'{text}' is no count; one is written like '4 of 25'")
    failed, tries = map(int, found.groups())
    if not 0 <= failed <= tries or tries < 1:
        raise ValueError(f"'{text}' is no count: at least one try, and no more failures than tries")
    return Rate(failed, tries)
