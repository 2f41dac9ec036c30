"""``python -m edgekit``: the command line without its script."""

import sys
from pathlib import Path

# Python looks for modules in the folder that it is started in first: whose files those are, nobody knows.
if sys.path and sys.path[0] == str(Path.cwd()) and not Path("edgekit", "__init__.py").is_file():
    del sys.path[0]

from edgekit.cli import main

main()
