"""How much a run plays: the profiles quick, ci and deep."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Profile:
    """How much is played: drawn scenarios by adapter, commands in each, and the scope of the tour and of its edges.

    `writes` is how many guest writes a history of the universal disk may have, by adapter. `histories` are pairs: how
    many commands a long history has, and how many of these there are. Of families and long histories each one in so
    many (`one_in`, by adapter) is played. `restarts` is how many scenarios with images are drawn; of the interrupted
    workflows one in `restarts_one_in` is played, by adapter, and of the walks of the tour of images one in
    `images_one_in`.
    """

    examples: dict[str, int]
    steps: int
    scope: str
    writes: dict[str, int]
    histories: tuple[tuple[int, int], ...]
    one_in: dict[str, int] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    restarts_one_in: dict[str, int] = field(default_factory=dict)
    images_one_in: dict[str, int] = field(default_factory=dict)

    def lengths(self) -> list[int]:
        """The number of commands of each long history."""
        return [length for length, many in self.histories for _ in range(many)]

    def of_restarts(self, adapter: str) -> tuple[int, int]:
        """One interrupted workflow in how many, and how many drawn: whoever has a name of his own is as exec is."""
        name = adapter if adapter in self.restarts else "exec"
        return self.restarts_one_in.get(name, 1), self.restarts[name]


PROFILES = {
    "quick": Profile(
        {"reference": 500, "qemu": 300, "exec": 500}, 14, "quick", {"reference": 6, "qemu": 3, "exec": 6},
        ((100, 8), (1000, 2)), {"qemu": 8}, {"reference": 40, "qemu": 10, "exec": 40},
        {"reference": 3, "qemu": 23, "exec": 3}, {"qemu": 3},
    ),
    "ci": Profile(
        {"reference": 4000, "qemu": 2000, "exec": 4000}, 14, "ci", {"reference": 8, "qemu": 4, "exec": 8},
        ((100, 60), (1000, 12)), restarts={"reference": 1000, "qemu": 100, "exec": 1000}, restarts_one_in={"qemu": 3},
        images_one_in={"qemu": 4},
    ),
    "deep": Profile(
        {"reference": 40000, "qemu": 40000, "exec": 40000}, 20, "deep", {"reference": 10, "qemu": 5, "exec": 10},
        ((100, 1000), (1000, 200)), restarts={"reference": 10_000, "qemu": 2000, "exec": 10_000},
    ),
}  # fmt: skip
