"""``taskgan evaluate``: restored images judged."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Cohort, Overwrite, PartOf, RecipeName, Recognisers, Restored, SuvrCut, TaskName


def evaluate(
    restored: Restored,
    cohort: Annotated[Path, typer.Argument(help="The cohort that they were restored from.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Evaluation folder to make.")],
    method: Annotated[str | None, typer.Option(help="What to call the method, if the folder does not say.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe of the task network and the judge, if the folder does not say.")
    ] = None,
    task: TaskName = None,
    recognisers: Recognisers = None,
    suvr_cut: SuvrCut = 1.38,
    slices: Annotated[int, typer.Option(min=1, help="Middle slices that T and the judge read.")] = 40,
    false_lesions: Annotated[
        float, typer.Option(help="False lesions an image that the lesion observer may make on clean images.")
    ] = 1.0,
    part: PartOf = None,
    overwrite: Overwrite = False,
) -> None:
    """Judge restorations: image quality, task network, independent judge, and what is measured by masks.

    A cohort with verification.csv has the pairs in it compared: are two restored faces still of one person?
    Columns cortex and reference of the table give a SUVR; brain, white, grey, csf and lesions give tissue contrast,
    lesions found and invented, the rim at CSF and grid artefacts.
    """
    from taskgan.evaluate.run import evaluate as run
    from taskgan.judges.properties import evaluation_settings
    from taskgan.recipe import read_recipe

    run(
        restored,
        cohort,
        out,
        recipe=read_recipe(recipe) if recipe else None,
        task=task,
        method=method,
        store=recognisers,
        overwrite=overwrite,
        part=part,
        settings=evaluation_settings(slices=slices, suvr_cut=suvr_cut, false_lesions=false_lesions),
    )


def compare(
    evaluations: Annotated[list[Path], typer.Argument(help="Evaluation folders, one per method, seed or fold.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Report folder to make.")],
    baseline: Annotated[
        str | None, typer.Option(help="Method that the others are compared with; default: gan, or else the input.")
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(help="Largest difference that does not matter, MEASURE=NUMBER, e.g. psnr=0.5; repeatable."),
    ] = None,
    correction: Annotated[
        str, typer.Option(help="Of p over several methods: holm, benjamini-hochberg or none.")
    ] = "holm",
    limit: Annotated[
        Path | None, typer.Option(help="Folder of taskgan limit; default: derivatives/limit in the cohort, if there.")
    ] = None,
    readers: Annotated[
        Path | None, typer.Option(help="Analysed study of taskgan readers, to show beside them.")
    ] = None,
    strata: Annotated[
        str | None, typer.Option(help="Headline measures by group: COLUMN[,COLUMN…] of pairs.csv, e.g. anatomy,dose.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="Rank three or more methods without the clean images: LOW,HIGH of true SUVRs, e.g. 1.0,2.2."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """The paper's tables and figures over several runs, as one report.html that opens offline."""
    from taskgan.report.metrics import parse_inference
    from taskgan.report.run import compare as run
    from taskgan.report.strata import parse_bounds

    run(
        evaluations,
        out,
        baseline=baseline,
        inference=parse_inference(margin or (), correction),
        limit=limit,
        readers=readers,
        strata=[name.strip() for name in strata.split(",")] if strata is not None else (),
        precision=parse_bounds(precision) if precision is not None else None,
        overwrite=overwrite,
    )


def report(
    folders: Annotated[list[Path], typer.Argument(help="Cohort, runs, evaluations, audits, reports.")],
    checklist: Annotated[str, typer.Option(help="claim (CLAIM 2024) or relaince (RELAINCE).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, .md or .html.")],
    overwrite: Overwrite = False,
) -> None:
    """A reporting guideline's checklist, filled from the files of a run; what none of them says is not done."""
    from taskgan.report.checklist import checklist as write

    typer.echo(f"checklist: {write(checklist, folders, out, overwrite=overwrite)}")


def limit(
    recipe: RecipeName,
    cohort: Cohort,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to make; default: derivatives/limit in the cohort.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeatable.")] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(help="A model: it restores all subjects here, and readers are taught on that; repeatable."),
    ] = None,
    restored: Annotated[list[Path] | None, typer.Option(help="A method's restored test subjects; repeatable.")] = None,
    reader: Annotated[str, typer.Option(help="Whose architecture reads: judge or task.")] = "judge",
    slices: Annotated[int, typer.Option(min=1, help="Middle slices that readers see.")] = 40,
    recognisers: Recognisers = None,
    overwrite: Overwrite = False,
) -> None:
    """Should I use a task network? What readers of the inputs find, against what methods keep."""
    from taskgan.judges.limits import DEFAULT
    from taskgan.limit.run import limit as run
    from taskgan.recipe import read_recipe

    run(
        read_recipe(recipe, overrides or ()),
        cohort,
        out or (cohort if cohort.is_dir() else cohort.parent) / DEFAULT,
        models=model or (),
        restored=restored or (),
        reader=reader,
        slices=slices,
        store=recognisers,
        overwrite=overwrite,
    )


def audit(
    restored: Restored,
    cohort: Annotated[
        Path | None,
        typer.Argument(
            help="The cohort that they were restored from; or say the three folders below. Not for an evaluation."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Audit folder to make.")] = Path("audit"),
    degraded: Annotated[Path | None, typer.Option(help="Folder of degraded images, matched by subject.")] = None,
    clean: Annotated[Path | None, typer.Option(help="Folder of clean images.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Table with the columns subject, label (or task.labels) and, for training judges, split."),
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
    task: TaskName = None,
    method: Annotated[str | None, typer.Option(help="What to call the method.")] = None,
    calibration: Annotated[
        str, typer.Option(help="Of conformal intervals: val, a share of the test subjects, none, a conformal.yaml.")
    ] = "val",
    alpha: Annotated[float, typer.Option(help="Conformal intervals may miss the truth this often.")] = 0.1,
    pooled: Annotated[bool, typer.Option("--pooled", help="Calibrate both labels together.")] = False,
    fail_over: Annotated[
        float | None, typer.Option(help="Exit with 1 if the rate of flips may be over this (95 % upper bound).")
    ] = None,
    recognisers: Annotated[
        Path | None, typer.Option(help="Where judges are kept; default: in the cohort, or in OUT for folders.")
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
        task=task,
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
