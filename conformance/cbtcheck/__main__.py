"""`python -m cbtcheck` is the command `cbtspec`."""

import sys

from cbtcheck.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
