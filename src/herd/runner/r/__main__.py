"""How a Dockerfile starts it: as a folder, by any Python."""

import sys
from importlib import import_module
from pathlib import Path

if __package__:
    from .install import main
else:
    sys.path[0:1] = [str(Path(__file__).resolve().parents[1])]
    main = import_module(f"{Path(__file__).resolve().parent.name}.install").main

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
