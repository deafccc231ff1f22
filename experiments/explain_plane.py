"""Why a task network: the paper's Figures 4 and 5 from real training in the plane, about a minute.

python experiments/explain_plane.py OUT  # figure4.png, figure5.png, explain.gif, explain.csv, explain.yaml
"""

import argparse
from pathlib import Path

from experiment import called
from explain.run import explain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="of every objective; default: 1200, as documented")
    parser.add_argument("--overwrite", action="store_true")
    arguments = parser.parse_args()
    explain(arguments.out, seed=arguments.seed, steps=arguments.steps, overwrite=arguments.overwrite)


if __name__ == "__main__":
    called(main)
