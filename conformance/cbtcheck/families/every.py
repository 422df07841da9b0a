"""The families, in the order in which a run plays them. To add one: make its module, and name it here."""

from __future__ import annotations

from cbtcheck.families.again import AGAIN
from cbtcheck.families.company import COMPANY_FAMILY
from cbtcheck.families.copying import COPYING
from cbtcheck.families.elsewhere import ELSEWHERE
from cbtcheck.families.family import Family
from cbtcheck.families.groups import GROUPS
from cbtcheck.families.large import LARGE
from cbtcheck.families.many import MANY
from cbtcheck.families.naming import NAMES
from cbtcheck.families.same_place import SAME_PLACE
from cbtcheck.families.undone import UNDONE
from cbtcheck.families.where import WHERE
from cbtcheck.families.wrapping import WRAPPING, WRAPPING_OF_ONE


def families() -> tuple[Family, ...]:
    """All of them."""
    again = (AGAIN, SAME_PLACE, COMPANY_FAMILY, ELSEWHERE)
    many = (*MANY, COPYING, UNDONE, *GROUPS)
    return (*again, *many, WRAPPING, WRAPPING_OF_ONE, WHERE, *LARGE, NAMES)
