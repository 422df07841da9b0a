"""A run: its course, its parts, and how several processes share them."""
