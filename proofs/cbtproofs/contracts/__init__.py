"""The contracts of the implementation, checked by CrossHair: `runner`, and `mistakes` that it must find.

The contracts themselves are in `cbtimpl.contracts`.
"""
