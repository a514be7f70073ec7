"""`python -m aaclip_lite`: the command line, whose commands are the files of commands/."""

import sys

from .commands._cli import main

if __name__ == "__main__":
    sys.exit(main())
