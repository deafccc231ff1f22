"""Options and arguments that several verbs share, so that they are called and described alike."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.core.errors import UserError

RecipeName = Annotated[
    str,
    typer.Argument(
        help="A YAML file or a shipped recipe: pet, mr, mr-lesions, face, each with -demo; face-recogniser, photo."
    ),
]
Cohort = Annotated[Path, typer.Argument(help="Cohort folder or its pairs.csv.")]
NewCohort = Annotated[Path, typer.Argument(help="Cohort folder to make (or to go on with).")]
Restored = Annotated[Path, typer.Argument(help="Folder of restored images, ours or any tool's.")]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Select = Annotated[
    list[str] | None, typer.Option("--select", help="Only rows of pairs.csv with COLUMN=VALUE; repeatable.")
]
TaskName = Annotated[
    str | None, typer.Option("--task", help="Which of the recipe's tasks is judged, by its name; default: the first.")
]
Seed = Annotated[int, typer.Option(min=0)]
Subjects = Annotated[int, typer.Option(min=1, help="Number of subjects.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0 takes every core.")]
PartOf = Annotated[
    str | None,
    typer.Option(
        "--part",
        help="K/N, for job arrays: every N-th subject from the K-th on; the part that ends last writes the tables.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(help="Dask scheduler whose workers do the subjects, e.g. tcp://10.0.0.1:8786 (extra cluster)."),
]
Threads = Annotated[int, typer.Option("--workers", min=0, help="Threads; 0 takes every core.")]
Anatomy = Annotated[
    Path | None,
    typer.Option(
        help="Folder of BrainWeb tissue files (one is in one split only), or one file as a template that is "
        "deformed per subject; default: the MNI template."
    ),
]
Index = Annotated[
    Path | None,
    typer.Option(help="Folder of your own models, NAME/ or FAMILY/VARIANT/; default: those of TASKGAN_MODELS."),
]
Recognisers = Annotated[Path | None, typer.Option(help="Where T and the judge are kept; default: in the cohort.")]
SuvrCut = Annotated[float, typer.Option(help="Composite SUVR from which a case is positive.")]


def parse_select(select: list[str] | None, option: str = "--select") -> dict[str, str]:
    """``["dose=1", "split=test"]`` to a mapping.

    Raises:
        UserError: If an element is not COLUMN=VALUE.
    """
    selection = {}
    for text in select or ():
        column, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"{option} {text}: expected COLUMN=VALUE, e.g. dose=1")
        selection[column] = value
    return selection
