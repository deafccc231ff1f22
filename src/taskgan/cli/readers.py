"""``taskgan readers``: a blinded reader study, from the images to its statistics."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import Overwrite, Seed

group = typer.Typer(
    help="Blinded readers: a study made, served, analysed.", no_args_is_help=True, rich_markup_mode=None
)
StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of taskgan readers make.")]
Readers = Annotated[list[str] | None, typer.Option(help="Name of a reader; repeatable. Default: three.")]
Design = Annotated[str, typer.Option(help="crossed: all read all cases; split-plot: groups have cases of their own.")]
Sessions = Annotated[int | None, typer.Option(help="Default: one for each kind of image, each case once in each.")]


@group.command("make")
def readers_make(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Study folder to make.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="[FOLDER]...", help="Further ones of --from.")] = None,
    *,
    cohort: Annotated[Path, typer.Option(help="The cohort that was restored: inputs, clean images, truth.")],
    restored: Annotated[
        list[str] | None,
        typer.Option("--from", help="Restored images: FOLDER, METHOD=FOLDER or a pattern; repeatable."),
    ] = None,
    form: Annotated[str, typer.Option(help="What is asked: amyloid, lesions, faces, or a YAML file.")] = "amyloid",
    design: Design = "crossed",
    reader: Readers = None,
    groups: Annotated[int, typer.Option(help="Groups of a split-plot.")] = 2,
    sessions: Sessions = None,
    washout: Annotated[float, typer.Option(help="Days between sessions.")] = 14.0,
    repeats: Annotated[int, typer.Option(help="Hidden repeats of each reader.")] = 4,
    training: Annotated[int, typer.Option(help="Cases with feedback before the first session.")] = 2,
    cases: Annotated[int | None, typer.Option(help="At most so many, drawn; default: all.")] = None,
    split: Annotated[str, typer.Option(help="Of the cohort.")] = "test",
    programs: Annotated[bool, typer.Option("--programs", help="Readers are model observers: results say so.")] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Cases × (input, each method, clean) in a balanced order, called by numbers that tell nothing."""
    from taskgan.core.settings import validated
    from taskgan.readers.make import make_study
    from taskgan.readers.study import StudyPlan

    values = {"form": form, "design": design, "groups": groups, "sessions": sessions, "washout_days": washout}
    values |= {"repeats": repeats, "training": training, "cases": cases, "split": split, "programs": programs}
    values |= {"seed": seed} | ({"readers": tuple(reader)} if reader else {})
    plan = validated(StudyPlan, values, "these options make no study")
    make_study(study, cohort, [*(restored or ()), *(more or ())], plan, overwrite=overwrite)


@group.command("serve")
def readers_serve(
    study: StudyFolder,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8765,
    cert: Annotated[Path | None, typer.Option("--tls-cert", help="Certificate, PEM.")] = None,
    key: Annotated[Path | None, typer.Option("--tls-key", help="Its private key, PEM.")] = None,
) -> None:
    """The study as a web page, one link a reader; every answer is on the disk before the page goes on."""
    from taskgan.readers.server import serve_study

    serve_study(study, host=host, port=port, cert=cert, key=key)


@group.command("export")
def readers_export(
    study: StudyFolder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; default: answers in the study.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """All answers with case, method and truth: answers.csv. This unblinds."""
    from taskgan.readers.answers import export_answers

    export_answers(study, out, overwrite=overwrite)


@group.command("analyse")
def readers_analyse(
    study: StudyFolder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; default: analysis in the study.")] = None,
    baseline: Annotated[str, typer.Option(help="What the others are compared with.")] = "input",
    plan: Annotated[float | None, typer.Option(help="Plan a study that shows this difference of mean AUC.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Error rates, ROC, several readers and cases, agreement: tables and one page. This unblinds."""
    from taskgan.readers.analyse import analyse_study

    analyse_study(study, out, baseline=baseline, plan=plan, overwrite=overwrite)
