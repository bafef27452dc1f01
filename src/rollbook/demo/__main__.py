"""`python -m rollbook.demo [--keep]`, the same as `rollbook demo`."""

import sys

from rollbook.demo.runner import main

if __name__ == "__main__":
    sys.exit(main(keep="--keep" in sys.argv[1:]))
