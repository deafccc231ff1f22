"""``taskgan compare``: one report over several evaluations."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Overwrite


def compare(
    evaluations: Annotated[
        list[Path], typer.Argument(help="Evaluation folders, one per method, seed or fold.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Report folder to make.")],
    baseline: Annotated[
        str | None,
        typer.Option(help="Method that the others are compared with; default: gan, or else the input."),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            help="Largest difference that does not matter, MEASURE=NUMBER, e.g. psnr=0.5; repeatable."
        ),
    ] = None,
    correction: Annotated[
        str, typer.Option(help="Of p over several methods: holm, benjamini-hochberg or none.")
    ] = "holm",
    overwrite: Overwrite = False,
) -> None:
    """The paper's tables and figures over several runs, as one report.html that opens offline."""
    from taskgan.report.inference import parse_inference
    from taskgan.report.run import compare as run

    settings = parse_inference(margin or (), correction)
    run(evaluations, out, baseline=baseline, inference=settings, overwrite=overwrite)
