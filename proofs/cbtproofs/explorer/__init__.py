"""Every state that can be reached at a small scope, with every property checked in it."""
