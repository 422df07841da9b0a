"""The families, in the order in which a run plays them. To add one: make its module, and name it here."""

from __future__ import annotations

from cbtcheck.search.families.again import AGAIN
from cbtcheck.search.families.company import COMPANY_FAMILY
from cbtcheck.search.families.copying import COPYING
from cbtcheck.search.families.elsewhere import ELSEWHERE
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.far import FAR
from cbtcheck.search.families.groups import GROUPS
from cbtcheck.search.families.large import LARGE
from cbtcheck.search.families.many import MANY
from cbtcheck.search.families.naming import NAMES
from cbtcheck.search.families.same_place import SAME_PLACE
from cbtcheck.search.families.undone import UNDONE
from cbtcheck.search.families.where import WHERE
from cbtcheck.search.families.wrapping import WRAPPING, WRAPPING_OF_ONE


def families() -> tuple[Family, ...]:
    """All of them."""
    again = (AGAIN, SAME_PLACE, COMPANY_FAMILY, ELSEWHERE)
    many = (*MANY, COPYING, UNDONE, *GROUPS)
    return (*again, *many, WRAPPING, WRAPPING_OF_ONE, WHERE, FAR, *LARGE, NAMES)
