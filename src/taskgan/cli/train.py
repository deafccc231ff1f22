"""``taskgan train``: a cohort in, a run folder out."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Cohort, Overwrite, RecipeName, Recognisers


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
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Model (or run) whose weights it begins with: fine-tuning, same architecture."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a restorer; of objective recogniser the task network and the judge alone.

    Called again on an unfinished run, it goes on exactly where it was.
    """
    from taskgan.recipe import read_recipe

    settings = read_recipe(recipe, overrides or ())
    from taskgan.train.run import train as begin

    begin(settings, cohort, run, start=start, overwrite=overwrite)


def sweep(
    recipe: RecipeName,
    cohort: Cohort,
    out: Annotated[Path, typer.Argument(help="Sweep folder to make (or to go on with, or to add to).")],
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", help="section.key=value,value; brackets hold a list together; repeatable."),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Train every setting with each, e.g. 0,1,2.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, for all settings; repeatable.")
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", help="section.key=value of one further run to compare with; repeatable."),
    ] = None,
    random: Annotated[int, typer.Option(min=0, help="Only N settings of the grid, drawn; 0 takes all.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw of --random.")] = 0,
    choose: Annotated[
        str, typer.Option(help="balanced (smallest judge error within --within of the best PSNR), psnr, judge or suvr.")
    ] = "balanced",
    within: Annotated[float, typer.Option(min=0, help="dB, for --choose balanced.")] = 0.3,
    part: Annotated[
        str | None,
        typer.Option("--part", "--only", help="K/N: every N-th run from the K-th on; a last call without it joins."),
    ] = None,
    recognisers: Recognisers = None,
    retry: Annotated[bool, typer.Option("--retry", help="Make runs that failed once more.")] = False,
) -> None:
    """Train many settings, judge them on validation subjects only, choose by a stated rule. Resumes."""
    from taskgan.sweep.run import sweep as run

    swept = run(
        recipe,
        cohort,
        out,
        grid or (),
        overrides=overrides or (),
        seeds=seeds,
        against=against or (),
        random=random,
        seed=seed,
        choose=choose,
        within=within,
        part=part,
        recognisers=recognisers,
        retry=retry,
    )
    if swept.failed:
        raise typer.Exit(3)
