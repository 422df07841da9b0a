"""`python -m cbtcheck.adapters.protocol` writes the JSON Schemas of the adapter protocol into the package."""

from cbtcheck.adapters.protocol.schema import write

if __name__ == "__main__":
    write()
