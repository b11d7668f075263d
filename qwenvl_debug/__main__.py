"""`python -m qwenvl_debug`: the same as the `qwenvl-debug` command."""

import sys

from qwenvl_debug.cli import main

if __name__ == "__main__":
    sys.exit(main())
