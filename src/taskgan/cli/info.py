"""``taskgan info``: what a folder is."""

from pathlib import Path
from typing import Annotated

import typer


def info(
    place: Annotated[
        Path,
        typer.Argument(
            help="A cohort, run, sweep, model, recogniser, restored, evaluation, report, audit or demo folder."
        ),
    ],
    everything: Annotated[bool, typer.Option("--all", help="All that is recorded in it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="All that is recorded in it, as JSON.")] = False,
) -> None:
    """What is this? A screenful about a folder that taskgan made, and what to do next."""
    from taskgan.info import as_json, describe

    typer.echo(as_json(place) if json else describe(place, everything=everything))
