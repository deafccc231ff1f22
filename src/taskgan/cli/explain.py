"""``taskgan explain``: why a task network, in the plane."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Overwrite, Seed


def explain(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    seed: Seed = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of every objective; default: 1200, as documented.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Why a task network: Figures 4 and 5 from real training in the plane, about a minute."""
    from taskgan.explain.run import explain as run

    run(out, seed=seed, steps=steps, overwrite=overwrite)
