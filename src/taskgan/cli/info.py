"""``taskgan info``: what a folder is."""

from pathlib import Path
from typing import Annotated

import typer


def info(
    place: Annotated[
        Path,
        typer.Argument(
            help="A cohort, run, sweep, model, recogniser, restored, evaluation, limit, report, audit or demo "
            "folder, or a DICOM series or study."
        ),
    ],
    everything: Annotated[bool, typer.Option("--all", help="All that is recorded in it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="All that is recorded in it, as JSON.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check all files in it against its checksums; changes nothing.")
    ] = False,
) -> None:
    """What is this? A screenful about a folder that taskgan made, and what to do next."""
    from taskgan.core.console import say
    from taskgan.info import as_json, check, describe

    if verify:
        check(place)
    else:
        say(as_json(place) if json else describe(place, everything=everything))
