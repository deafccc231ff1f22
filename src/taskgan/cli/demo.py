"""``taskgan demo``: the whole path on simulated data, or on public images that are at hand."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Seed

group = typer.Typer(
    help="The whole path on simulated data (or on LFW), small.", no_args_is_help=True, rich_markup_mode=None
)


@group.command("pet")
def demo_pet(
    out: Annotated[Path, typer.Argument(help="Folder to make (or to go on with).")] = Path("demo"),
    seed: Seed = 0,
    subjects: Annotated[int, typer.Option(min=24, help="Subjects to simulate.")] = 36,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change the pet-demo recipe: section.key=value; repeatable.")
    ] = None,
) -> None:
    """Simulate, train l1, gan and task_gan, restore, evaluate, report: about ten minutes on two cores."""
    from taskgan.demo.demos import demo_pet as run

    run(out, seed=seed, subjects=subjects, overrides=overrides or ())


@group.command("lesions")
def demo_lesions(
    out: Annotated[Path, typer.Argument(help="Folder to make (or to go on with).")] = Path("demo"),
    seed: Seed = 0,
    subjects: Annotated[int, typer.Option(min=20, help="Subjects to simulate.")] = 24,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change the mr-flair-demo recipe: section.key=value; repeatable.")
    ] = None,
) -> None:
    """A finding that L1 and GAN lose and Task-GAN keeps: MR lesions, in about 11 minutes on two cores."""
    from taskgan.demo.demos import demo_lesions as run

    run(out, seed=seed, subjects=subjects, overrides=overrides or ())


@group.command("mr")
def demo_mr(
    out: Annotated[Path, typer.Argument(help="Folder to make (or to go on with).")] = Path("demo-mr"),
    seed: Seed = 0,
    subjects: Annotated[int, typer.Option(min=18, help="Subjects to simulate.")] = 24,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change the mr-demo recipe: section.key=value; repeatable.")
    ] = None,
) -> None:
    """Six MR contrasts from one acquisition: gan, task_gan and relaxometry, in about 11 minutes on two cores."""
    from taskgan.demo.demos import demo_mr as run

    run(out, seed=seed, subjects=subjects, overrides=overrides or ())


@group.command("faces")
def demo_faces(
    out: Annotated[Path, typer.Argument(help="Folder to make (or to go on with).")] = Path("demo-faces"),
    data: Annotated[
        Path | None,
        typer.Option(help="Labeled Faces in the Wild, with pairsDevTrain.txt and pairsDevTest.txt in it or beside it."),
    ] = None,
    seed: Seed = 0,
    people: Annotated[int, typer.Option(min=4, help="People to learn from and to validate.")] = 450,
    pairs: Annotated[int, typer.Option(min=1, help="Matched, and as many mismatched, pairs of each list.")] = 150,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change the face-demo recipe: section.key=value; repeatable.")
    ] = None,
) -> None:
    """8x super-resolution of faces: gan and task_gan, who is still who, in 8 minutes on two cores."""
    from taskgan.demo.demos import demo_faces as run

    run(out, data, seed=seed, people=people, pairs=pairs, overrides=overrides or ())
