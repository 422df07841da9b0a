"""The engine: follows what happens in every way in which it may have happened, and judges what is seen.

The suite, the oracle, traces and vectors are drivers over it. Begin with `judge` (the verdict rule) and `worlds`.
"""
