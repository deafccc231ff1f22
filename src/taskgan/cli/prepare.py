"""``taskgan prepare``: a cohort from files that a user already has."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Overwrite, Seed

group = typer.Typer(help="Make a cohort from your own files.", no_args_is_help=True, rich_markup_mode=None)


@group.command("mr")
def prepare_mr(
    table: Annotated[
        Path,
        typer.Argument(
            help="CSV, one row an image: subject, role (input, target, mask), path (NIfTI or DICOM folder); of an "
            "input delay_ms, echo, part (real, imag, magnitude, phase); of others name."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Cohort folder to make.")],
    resample: Annotated[
        bool,
        typer.Option("--resample", help="Bring images that are registered to each other onto one grid."),
    ] = False,
    grid: Annotated[
        str, typer.Option(help="Whose grid, with --resample: input, or a contrast such as T2-FLAIR.")
    ] = "input",
    normalise: Annotated[
        bool,
        typer.Option(help="One factor for a subject's inputs, one for each target (kept in the sidecars)."),
    ] = True,
    stratify: Annotated[
        str, typer.Option(help="Column of TABLE to spread evenly over splits that are dealt.")
    ] = "",
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Multi-contrast MR: exported multi-delay multi-echo images and contrasts, checked and named in BIDS."""
    from taskgan.prepare.mr.cohort import prepare_mr as run
    from taskgan.prepare.mr.settings import mr_preparation

    settings = mr_preparation(resample=resample, grid=grid, normalise=normalise, stratify=stratify, seed=seed)
    run(table, out, settings, overwrite=overwrite)
