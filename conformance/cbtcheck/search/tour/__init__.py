"""Which edges of the specification there are, and the tour that takes them all, with every write history."""
