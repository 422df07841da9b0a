"""The specification explored and proved, and its checkers checked. Nothing in `model/` knows that this exists."""
