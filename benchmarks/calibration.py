"""Do intervals hold the truth, and verdicts their error rates? All simulations with known truth, as one Markdown page.

Run it as `python benchmarks/calibration.py > benchmarks/calibration.md`, or with STUDIES, SEED and PROCESSES.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import calibration_dose
import calibration_gains
import calibration_scaling

PARTS = {
    "Gains": calibration_gains,
    "Dose-response": calibration_dose,
    "Scaling curves": calibration_scaling,
}


def main(studies: int = 1000, seed: int = 0, processes: int = 2) -> None:
    """Runs every part and prints its table."""
    command = f"python benchmarks/calibration.py {studies} {seed} {processes}"
    print(f"# Calibration of findings\n\n`{command}`, two shared cores.")
    for title, part in PARTS.items():
        started = time.monotonic()
        found = part.table(part.run(studies, seed, processes))
        print(f"\n## {title}\n\n{found}\n\n{time.monotonic() - started:,.0f} s", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
