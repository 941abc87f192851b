"""`python -m lossboard_extras`: the commands of the client."""

import sys

from lossboard_extras.command import main

if __name__ == "__main__":
    sys.exit(main())
