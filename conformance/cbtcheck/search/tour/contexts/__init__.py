"""Edges in context: what is undone and where it stood, who else is there, how many there are, and how often.

An edge of `coverage` looks at what a command touches and at nothing else. Many real bugs need more: a
second source, an older bitmap that is disabled, a third failure of the same bitmap. So there are edges for these too,
each from one point of view, so that they stay few. They are covered, counted and reported like the others.
"""
