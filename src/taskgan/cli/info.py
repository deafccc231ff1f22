"""``taskgan info``: what a folder is."""

from pathlib import Path
from typing import Annotated

import typer


def info(
    place: Annotated[
        Path, typer.Argument(help="A cohort, run, model, restored, evaluation or report folder.")
    ],
) -> None:
    """What is this? A readable summary of a folder that taskgan made."""
    from taskgan.info import describe

    typer.echo(describe(place))
