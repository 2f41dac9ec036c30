"""``python -m edgekit``: the command line without its script."""

from edgekit.cli import main

main()
