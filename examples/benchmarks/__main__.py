"""Prints the table of all speed benchmarks, each in a process of its own.

python examples/benchmarks

About a quarter of an hour on two cores; leave the machine alone meanwhile. `precision.py`, which trains nine models, is
run by itself.
"""

import subprocess
import sys
from pathlib import Path

from table import head, options

SCRIPTS = ("training.py", "sampling.py", "scaling.py")


def main() -> int:
    """Runs the scripts one after the other; returns the first exit code that is not 0."""
    parser = options(__doc__)
    parser.add_argument("--plot", default="scaling.png", help="picture of cost against size (default: scaling.png)")
    chosen = parser.parse_args()
    head()
    for script in SCRIPTS:
        more = ["--quick"] if chosen.quick else []
        more += ["--plot", chosen.plot] if script == "scaling.py" else []
        done = subprocess.run([sys.executable, str(Path(__file__).with_name(script)), "--rows-only", *more])
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
