"""Plays a plan of scenarios: what to play, in which order, in how many processes; and what came of it."""
