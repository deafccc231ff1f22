"""``taskgan restore``: a model applied to files."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Overwrite, Select, pairs_of


def restore(
    model: Annotated[Path, typer.Argument(help="Model folder (RUN/model) or run folder.")],
    inputs: Annotated[
        list[Path], typer.Argument(help="NIfTI files, folders of them, or a cohort's pairs.csv.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder, or a .nii.gz for a single input.")],
    samples: Annotated[
        int, typer.Option(min=0, help="Draw N restorations (dropout as z): writes their mean and SD.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    split: Annotated[str | None, typer.Option(help="Of a pairs.csv, only this split.")] = None,
    select: Select = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Slices at once; changes memory, not results.")] = 4,
    precision: Annotated[str, typer.Option(help="auto, 32 or bf16.")] = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Apply a model: same grid, affine, units and scale as the input."""
    from taskgan.restore.files import restore as run

    run(
        model,
        inputs,
        out,
        samples=samples,
        seed=seed,
        split=split,
        select=pairs_of(select),
        batch_size=batch_size,
        precision=precision,
        overwrite=overwrite,
    )
