"""`python -m export RUN`."""

import sys

from export.cli import main

if __name__ == "__main__":
    sys.exit(main())
