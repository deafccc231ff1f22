"""The verbs: arguments in, one call out. Heavy imports happen inside the verb that needs them."""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from taskgan import __version__
from taskgan.errors import Diverged, UserError

_INTERRUPTED = 130  # what typer exits with after Ctrl-C
_ORDER = ("simulate", "train", "sweep", "restore", "evaluate", "compare", "audit", "demo", "explain", "info")


class _Workflow(TyperGroup):
    """Lists the verbs in the order of the work, not of their definition."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in _ORDER if name in self.commands]


app = typer.Typer(
    name="taskgan",
    cls=_Workflow,
    help="Restore degraded images without changing what they mean, and show whether it worked.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
simulate_app = typer.Typer(help="Make a cohort from physics.", no_args_is_help=True, rich_markup_mode=None)
demo_app = typer.Typer(
    help="The whole path on simulated data, small.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(simulate_app, name="simulate")
app.add_typer(demo_app, name="demo")

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Select = Annotated[
    list[str] | None, typer.Option("--select", help="Only rows of pairs.csv with COLUMN=VALUE; repeatable.")
]


def _version(show: bool) -> None:
    if show:
        typer.echo(f"taskgan {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show log messages.")] = False,
) -> None:
    """Restore degraded images without changing what they mean, and show whether it worked."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(message)s"
    )


@simulate_app.command("pet")
def simulate_pet(
    out: Annotated[Path, typer.Argument(help="Cohort folder to make (or to go on with).")],
    subjects: Annotated[int, typer.Option(min=1, help="Number of subjects.")] = 40,
    doses: Annotated[
        list[float] | None, typer.Option("--dose", help="Dose in per cent of the standard; repeatable.")
    ] = None,
    anatomy: Annotated[
        Path | None,
        typer.Option(
            help="Folder of BrainWeb tissue files (one is in one split only), or one file as a template that is "
            "deformed per subject; default: the MNI template."
        ),
    ] = None,
    scale: Annotated[str, typer.Option(help="demo (112×112 at 2 mm) or full (256×256×89).")] = "demo",
    positive: Annotated[float, typer.Option(min=0, max=1, help="Share of amyloid-positive subjects.")] = 0.25,
    borderline: Annotated[
        float, typer.Option(min=0, max=1, help="Share of subjects near the cut (composite 1.25 to 1.40).")
    ] = 0.2,
    counts: Annotated[
        float,
        typer.Option(min=0, max=100, help="Multiply the calibrated counts of the standard dose by this."),
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes every core.")] = 0,
) -> None:
    """Amyloid PET at standard and low dose: anatomy, uptake, TOF projection, thinning, OSEM."""
    from taskgan.simulate.pet.cohort import simulate_pet as run
    from taskgan.simulate.pet.settings import pet_simulation

    settings = pet_simulation(
        subjects=subjects,
        doses=tuple(doses or (1.0,)),
        anatomy=anatomy,
        scale=scale,
        positive=positive,
        borderline=borderline,
        counts=counts,
        seed=seed,
    )
    run(out, settings, workers=workers)


@simulate_app.command("mr")
def simulate_mr(
    out: Annotated[Path, typer.Argument(help="Cohort folder to make (or to go on with).")],
    subjects: Annotated[int, typer.Option(min=1, help="Number of subjects.")] = 67,
    anatomy: Annotated[
        Path | None,
        typer.Option(
            help="Folder of BrainWeb tissue files (one is in one split only), or one file as a template that is "
            "deformed per subject; default: the MNI template."
        ),
    ] = None,
    scale: Annotated[str, typer.Option(help="demo (128×128×16) or full (256×256×24).")] = "demo",
    patients: Annotated[float, typer.Option(min=0, max=1, help="Share of patients.")] = 44 / 67,
    tumours: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of patients with a tumour; the others have lesions."),
    ] = 0.3,
    noise: Annotated[float, typer.Option(min=0, max=100, help="Multiply the noise of all images.")] = 1.0,
    motion: Annotated[
        float, typer.Option(min=0, max=5, help="SD in mm and degrees between the input and a target.")
    ] = 0.3,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes every core.")] = 0,
) -> None:
    """Six MR contrasts and the complex multi-delay multi-echo input, with lesions or a tumour in patients."""
    from taskgan.simulate.mr.cohort import simulate_mr as run
    from taskgan.simulate.mr.settings import mr_simulation

    settings = mr_simulation(
        subjects=subjects,
        anatomy=anatomy,
        scale=scale,
        patients=patients,
        tumours=tumours,
        noise=noise,
        motion_mm=motion,
        motion_deg=motion,
        seed=seed,
    )
    run(out, settings, workers=workers)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A YAML file or a shipped recipe: pet, pet-demo.")],
    cohort: Annotated[Path, typer.Argument(help="Cohort folder or its pairs.csv.")],
    run: Annotated[Path, typer.Argument(help="Run folder to make (or to resume).")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="section.key=value, e.g. objective=gan (l1, gan, task_gan or cycle_gan); repeatable.",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a restorer. Called again on an unfinished run, it goes on exactly where it was."""
    from taskgan.recipe import read_recipe

    settings = read_recipe(recipe, overrides or ())
    from taskgan.train.run import train as start

    start(settings, cohort, run, overwrite=overwrite)


@app.command()
def sweep(
    recipe: Annotated[str, typer.Argument(help="A YAML file or a shipped recipe: pet, pet-demo.")],
    cohort: Annotated[Path, typer.Argument(help="Cohort folder or its pairs.csv.")],
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
        str,
        typer.Option(
            help="balanced (smallest judge error within --within of the best PSNR), psnr, judge or suvr."
        ),
    ] = "balanced",
    within: Annotated[float, typer.Option(min=0, help="dB, for --choose balanced.")] = 0.3,
    only: Annotated[
        str | None, typer.Option(help="K/N: every N-th run from the K-th on; a last call without it joins.")
    ] = None,
    recognisers: Annotated[
        Path | None, typer.Option(help="Where T and the judge are kept; default: in the cohort.")
    ] = None,
) -> None:
    """Train many settings, judge them on validation subjects only, choose by a stated rule. Resumes."""
    from taskgan.sweep.run import Asked
    from taskgan.sweep.run import sweep as run

    run(
        Asked(
            recipe,
            cohort,
            out,
            tuple(grid or ()),
            overrides=tuple(overrides or ()),
            seeds=seeds,
            against=tuple(against or ()),
            random=random,
            seed=seed,
            choose=choose,
            within=within,
            only=only,
            recognisers=recognisers,
        )
    )


@app.command()
def restore(
    model: Annotated[Path, typer.Argument(help="Model folder (RUN/model) or run folder.")],
    inputs: Annotated[
        list[Path], typer.Argument(help="NIfTI files, folders of them, or a cohort's pairs.csv.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder, or a .nii.gz for a single input.")],
    samples: Annotated[
        int, typer.Option(min=0, help="Draw N restorations (dropout as z): writes their mean and SD.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    split: Annotated[str | None, typer.Option(help="Of a pairs.csv, only this split.")] = None,
    select: Select = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Slices at once; changes memory, not results.")] = 4,
    precision: Annotated[str, typer.Option(help="auto, 32 or bf16.")] = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Apply a model: same grid, affine, units and scale as the input."""
    from taskgan.restore.files import restore as run

    run(
        model,
        inputs,
        out,
        samples=samples,
        seed=seed,
        split=split,
        select=_pairs_of(select),
        batch_size=batch_size,
        precision=precision,
        overwrite=overwrite,
    )


@app.command()
def evaluate(
    restored: Annotated[Path, typer.Argument(help="Folder of restored images, ours or any tool's.")],
    cohort: Annotated[Path, typer.Argument(help="The cohort that they were restored from.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Evaluation folder to make.")],
    method: Annotated[
        str | None, typer.Option(help="What to call the method, if the folder does not say.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe of the task network and the judge, if the folder does not say.")
    ] = None,
    recognisers: Annotated[
        Path | None, typer.Option(help="Where T and the judge are kept; default: in the cohort.")
    ] = None,
    suvr_cut: Annotated[float, typer.Option(help="Composite SUVR from which a case is positive.")] = 1.38,
    slices: Annotated[int, typer.Option(min=1, help="Middle slices that T and the judge read.")] = 40,
    overwrite: Overwrite = False,
) -> None:
    """Judge restorations: image quality, task network, independent judge, SUVR against its cut."""
    from taskgan.evaluate.run import evaluate as run
    from taskgan.evaluate.settings import evaluation
    from taskgan.recipe import read_recipe

    run(
        restored,
        cohort,
        out,
        recipe=read_recipe(recipe) if recipe else None,
        method=method,
        store=recognisers,
        overwrite=overwrite,
        settings=evaluation(slices=slices, suvr_cut=suvr_cut),
    )


@app.command()
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
    from taskgan.report.inference import inference
    from taskgan.report.run import compare as run

    settings = inference(margin or (), correction)
    run(evaluations, out, baseline=baseline, inference=settings, overwrite=overwrite)


@app.command()
def audit(
    restored: Annotated[Path, typer.Argument(help="Folder of restored images, ours or any tool's.")],
    cohort: Annotated[
        Path | None,
        typer.Argument(help="The cohort that they were restored from; or say the three folders below."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Audit folder to make.")] = Path("audit"),
    degraded: Annotated[
        Path | None, typer.Option(help="Folder of degraded images, matched by subject.")
    ] = None,
    clean: Annotated[Path | None, typer.Option(help="Folder of clean images.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Table with the columns subject, label and, for training judges, split."),
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="Another method's restored images, to compare with; repeatable.")
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
    suvr_cut: Annotated[float, typer.Option(help="Composite SUVR from which a case is positive.")] = 1.38,
    slices: Annotated[int, typer.Option(min=1, help="Middle slices that judges read.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw of calibration subjects.")] = 0,
    figures: Annotated[int, typer.Option(min=0, help="Draw at most this many flipped cases.")] = 24,
    overwrite: Overwrite = False,
) -> None:
    """Who flipped? Independent judges on restored and clean images, of any tool; refuses judges that are not."""
    from taskgan.audit.verb import run_audit

    passed = run_audit(
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


@demo_app.command("pet")
def demo_pet(
    out: Annotated[Path, typer.Argument(help="Folder to make (or to go on with).")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0)] = 0,
    subjects: Annotated[int, typer.Option(min=24, help="Subjects to simulate.")] = 36,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change the pet-demo recipe: section.key=value; repeatable."),
    ] = None,
) -> None:
    """Simulate, train l1, gan and task_gan, restore, evaluate, report: about ten minutes on two cores."""
    from taskgan.demo import demo_pet as run

    run(out, seed=seed, subjects=subjects, overrides=overrides or ())


@app.command()
def explain(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of every objective; default: 1200, as documented.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Why a task network: Figures 4 and 5 from real training in the plane, about a minute."""
    from taskgan.explain.run import explain as run

    run(out, seed=seed, steps=steps, overwrite=overwrite)


@app.command()
def info(
    place: Annotated[
        Path, typer.Argument(help="A cohort, run, model, restored, evaluation or report folder.")
    ],
) -> None:
    """What is this? A readable summary of a folder that taskgan made."""
    from taskgan.info import describe

    typer.echo(describe(place))


def _pairs_of(select: list[str] | None) -> dict[str, str]:
    wanted = {}
    for text in select or ():
        column, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--select {text}: expected COLUMN=VALUE, e.g. dose=1")
        wanted[column] = value
    return wanted


def _place_of(error: OSError) -> str:
    if not isinstance(error.filename, str):
        return "a file"
    place = Path(error.filename)
    # A temporary name means nothing to the reader: the folder is what could not be written to.
    return str(place.parent if place.name.startswith(".") else place)


def main() -> None:
    """Run the command line. Bad input: one message, exit code 2. A diverged training: exit code 3."""
    try:
        app()
    except Diverged as error:
        sys.stderr.write(f"taskgan: {error}\n")
        sys.exit(3)
    except UserError as error:
        sys.stderr.write(f"taskgan: {error}\n")
        sys.exit(2)
    except ModuleNotFoundError as error:
        if (error.name or "taskgan").partition(".")[0] in ("taskgan", *sys.stdlib_module_names):
            raise
        sys.stderr.write(f"taskgan: this needs {error.name}, which is not here: pip install 'taskgan[all]'\n")
        sys.exit(2)
    except OSError as error:  # a folder that cannot be written to, a full disk
        sys.stderr.write(
            f"taskgan: {_place_of(error)} cannot be read or written: {error.strerror or error}\n"
        )
        sys.exit(2)
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            sys.stderr.write("taskgan: interrupted; nothing half-written is left, call it again to go on\n")
        raise
