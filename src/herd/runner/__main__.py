"""`python -I <this folder>`: how an image's ENTRYPOINT starts the runner."""

import gc
import sys
from importlib import import_module
from pathlib import Path

if __package__:
    from .main import main
else:
    # Started as a folder, Python puts the folder itself first: modules here (`inputs`, `checks` …) would then be found
    # without their package, before installed ones. The folder above, last, is what makes `runner` importable.
    sys.path[0:1] = []
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    main = import_module(f"{Path(__file__).resolve().parent.name}.main").main

if __name__ == "__main__":
    status = main()
    gc.freeze()  # else Python, when it ends, looks through all modules for garbage
    sys.exit(status)
