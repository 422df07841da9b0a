"""The families, in the order in which a run plays them. To add one: make its module, and name it here."""

from __future__ import annotations

from cbtcheck.families.again import AGAIN
from cbtcheck.families.company import COMPANY_FAMILY
from cbtcheck.families.family import Family
from cbtcheck.families.groups import GROUPS
from cbtcheck.families.large import LARGE
from cbtcheck.families.many import MANY
from cbtcheck.families.naming import NAMES
from cbtcheck.families.where import WHERE
from cbtcheck.families.wrapping import WRAPPING, WRAPPING_OF_ONE


def families() -> tuple[Family, ...]:
    """All of them."""
    return (AGAIN, COMPANY_FAMILY, *MANY, *GROUPS, WRAPPING, WRAPPING_OF_ONE, WHERE, *LARGE, NAMES)
