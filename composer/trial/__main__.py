"""Runs the trial that lies in a folder: `python -m composer.trial FOLDER`."""

import sys
from pathlib import Path

from composer.trial.run import main

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
