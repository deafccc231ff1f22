"""``taskgan evaluate``: restored images judged."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Overwrite, Recognisers, Restored, SuvrCut


def evaluate(
    restored: Restored,
    cohort: Annotated[Path, typer.Argument(help="The cohort that they were restored from.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Evaluation folder to make.")],
    method: Annotated[
        str | None, typer.Option(help="What to call the method, if the folder does not say.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe of the task network and the judge, if the folder does not say.")
    ] = None,
    recognisers: Recognisers = None,
    suvr_cut: SuvrCut = 1.38,
    slices: Annotated[int, typer.Option(min=1, help="Middle slices that T and the judge read.")] = 40,
    false_lesions: Annotated[
        float,
        typer.Option(help="False lesions an image that the lesion observer may make on clean images."),
    ] = 1.0,
    overwrite: Overwrite = False,
) -> None:
    """Judge restorations: image quality, task network, independent judge, and what is measured by masks.

    A cohort with verification.csv has the pairs in it compared: are two restored faces still of one person?
    Columns cortex and reference of the table give a SUVR; brain, white, grey, csf and lesions give tissue contrast,
    lesions found and invented, the rim at CSF and grid artefacts.
    """
    from taskgan.evaluate.run import evaluate as run
    from taskgan.evaluate.settings import evaluation_settings
    from taskgan.recipe import read_recipe

    run(
        restored,
        cohort,
        out,
        recipe=read_recipe(recipe) if recipe else None,
        method=method,
        store=recognisers,
        overwrite=overwrite,
        settings=evaluation_settings(slices=slices, suvr_cut=suvr_cut, false_lesions=false_lesions),
    )
