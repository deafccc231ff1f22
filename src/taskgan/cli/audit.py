"""``taskgan audit``: who flipped, of any tool."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Overwrite, Restored, SuvrCut


def audit(
    restored: Restored,
    cohort: Annotated[
        Path | None,
        typer.Argument(
            help="The cohort that they were restored from; or say the three folders below. Not for an evaluation."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Audit folder to make.")] = Path("audit"),
    degraded: Annotated[
        Path | None, typer.Option(help="Folder of degraded images, matched by subject.")
    ] = None,
    clean: Annotated[Path | None, typer.Option(help="Folder of clean images.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Table with the columns subject, label (or task.labels) and, for training judges, split."
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Another method's restored images (or evaluation) to compare with; repeatable."),
    ] = None,
    judge: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a trained recogniser; repeatable. Default: two are trained and kept."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe of intensities and judges, if the folder does not say.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="What to call the method.")] = None,
    calibration: Annotated[
        str,
        typer.Option(
            help="Of conformal intervals: val, a share of the test subjects, none, a conformal.yaml."
        ),
    ] = "val",
    alpha: Annotated[float, typer.Option(help="Conformal intervals may miss the truth this often.")] = 0.1,
    pooled: Annotated[bool, typer.Option("--pooled", help="Calibrate both labels together.")] = False,
    fail_over: Annotated[
        float | None,
        typer.Option(help="Exit with 1 if the rate of flips may be over this (95 % upper bound)."),
    ] = None,
    recognisers: Annotated[
        Path | None,
        typer.Option(help="Where judges are kept; default: in the cohort, or in OUT for folders."),
    ] = None,
    suvr_cut: SuvrCut = 1.38,
    slices: Annotated[int, typer.Option(min=1, help="Middle slices that judges read.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw of calibration subjects.")] = 0,
    figures: Annotated[int, typer.Option(min=0, help="Draw at most this many flipped cases.")] = 24,
    overwrite: Overwrite = False,
) -> None:
    """Who flipped? Independent judges on restored and clean images, of any tool; refuses judges that are not."""
    from taskgan.audit.verb import audit_passes

    passed = audit_passes(
        restored,
        cohort,
        out,
        degraded=degraded,
        clean=clean,
        labels=labels,
        against=against or (),
        judges=judge or (),
        recipe=recipe,
        method=method,
        store=recognisers,
        fail_over=fail_over,
        overwrite=overwrite,
        calibration=calibration,
        alpha=alpha,
        by_class=not pooled,
        suvr_cut=suvr_cut,
        slices=slices,
        seed=seed,
        figures=figures,
    )
    if not passed:
        raise typer.Exit(1)
