"""`python -m ganray` is the command line."""

from ganray.cli import main

main()
