"""Narrow mistakes that take one name for another."""

from __future__ import annotations

import unicodedata

from cbtimpl import Host
from cbtimpl.bitmap import Bitmap

from cbtcheck.adapters.mistakes.registry import narrow_mistake
from cbtcheck.scenario.verdict import Verdict

NAMES = "names"
FOUND_BY = "landmarks"


class TakesAnother(Host):
    """Finds the oldest bitmap whose name looks the same in some way, for whatever is to be done to it."""

    def looks(self, name: str) -> str:
        """What of a name is looked at."""
        raise NotImplementedError

    def find_bitmap(self, node: str, name: str) -> Bitmap:
        """The oldest that looks the same."""
        exact = super().find_bitmap(node, name)
        wanted = self.looks(name)
        return next(each for known, each in self.nodes[node].bitmaps.items() if self.looks(known) == wanted) or exact


@narrow_mistake("names-cut-at-255", NAMES, Verdict.UNSAFE, FOUND_BY)
class NamesCutAt255(TakesAnother):
    """Of a name the first 255 bytes are looked at."""

    def looks(self, name: str) -> str:
        """Cuts it off."""
        return name.encode()[:255].decode(errors="ignore")


@narrow_mistake("names-in-lower-case", NAMES, Verdict.UNSAFE, FOUND_BY)
class NamesInLowerCase(TakesAnother):
    """Upper and lower case are the same."""

    def looks(self, name: str) -> str:
        """Without case."""
        return name.casefold()


@narrow_mistake("names-composed", NAMES, Verdict.UNSAFE, FOUND_BY)
class NamesComposed(TakesAnother):
    """Names are composed (NFC) before they are compared."""

    def looks(self, name: str) -> str:
        """Composed."""
        return unicodedata.normalize("NFC", name)


@narrow_mistake("names-stripped", NAMES, Verdict.UNSAFE, FOUND_BY)
class NamesStripped(TakesAnother):
    """Spaces around a name do not count."""

    def looks(self, name: str) -> str:
        """Without them."""
        return name.strip()


@narrow_mistake("names-are-paths", NAMES, Verdict.UNSAFE, FOUND_BY)
class NamesArePaths(TakesAnother):
    """Of a name only what follows its last slash is looked at."""

    def looks(self, name: str) -> str:
        """The last part."""
        return name.rpartition("/")[2]


@narrow_mistake("prefix-is-enough", NAMES, Verdict.UNSAFE, FOUND_BY)
class PrefixIsEnough(Host):
    """The oldest bitmap whose name begins as it was asked for is taken, if the name has four bytes or more."""

    def find_bitmap(self, node: str, name: str) -> Bitmap:
        """The first that begins so."""
        exact = super().find_bitmap(node, name)
        if len(name) < 4:
            return exact
        return next(each for known, each in self.nodes[node].bitmaps.items() if known.startswith(name))
