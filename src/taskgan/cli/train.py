"""``taskgan train``: a cohort in, a run folder out."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Cohort, Overwrite, RecipeName


def train(
    recipe: RecipeName,
    cohort: Cohort,
    run: Annotated[Path, typer.Argument(help="Run folder to make (or to resume).")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="section.key=value, e.g. objective=gan (l1, gan, task_gan, cycle_gan or recogniser); repeatable.",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a restorer; of objective recogniser the task network and the judge alone.

    Called again on an unfinished run, it goes on exactly where it was.
    """
    from taskgan.recipe import read_recipe

    settings = read_recipe(recipe, overrides or ())
    from taskgan.train.run import train as start

    start(settings, cohort, run, overwrite=overwrite)
