"""`python -m robustfront` is the command line."""

from robustfront.cli import main

main()
