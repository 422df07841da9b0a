"""Families: named iterators of short scenarios, made from what an implementation claims.

The tour walks to what small worlds have. What they do not have is how often, how many, how large and where: a family
takes a workflow to such values. A family is a module here with one idea; `every` lists them.
"""

from cbtcheck.search.families.every import families
from cbtcheck.search.families.family import Family, Member, members

__all__ = ["Family", "Member", "families", "members"]
