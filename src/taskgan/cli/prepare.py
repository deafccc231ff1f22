"""``taskgan prepare``: a cohort from files that a user already has."""

from pathlib import Path
from typing import Annotated

import typer

from taskgan.cli.options import NewCohort, Overwrite, PartOf, Seed, Threads

group = typer.Typer(help="Make a cohort from your own files.", no_args_is_help=True, rich_markup_mode=None)


@group.command("mr")
def prepare_mr(
    table: Annotated[
        Path,
        typer.Argument(
            help="CSV, one row an image: subject, role (input, target, mask), path (NIfTI or DICOM folder); of an "
            "input delay_ms, echo, part (real, imag, magnitude, phase); of others name."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Cohort folder to make.")],
    resample: Annotated[
        bool, typer.Option("--resample", help="Bring images that are registered to each other onto one grid.")
    ] = False,
    grid: Annotated[
        str, typer.Option(help="Whose grid, with --resample: input, or a contrast such as T2-FLAIR.")
    ] = "input",
    normalise: Annotated[
        bool, typer.Option(help="One factor for a subject's inputs, one for each target (kept in the sidecars).")
    ] = True,
    stratify: Annotated[str, typer.Option(help="Column of TABLE to spread evenly over splits that are dealt.")] = "",
    seed: Seed = 0,
    part: PartOf = None,
    overwrite: Overwrite = False,
) -> None:
    """Multi-contrast MR: exported multi-delay multi-echo images and contrasts, checked and named in BIDS."""
    from taskgan.core.settings import validated
    from taskgan.prepare.mr.cohort import prepare_mr as run
    from taskgan.prepare.mr.plan import MrPreparation

    values = {"resample": resample, "grid": grid, "normalise": normalise, "stratify": stratify, "seed": seed}
    settings = validated(MrPreparation, values, "prepare mr cannot start")
    run(table, out, settings, part=part, overwrite=overwrite)


@group.command("pet")
def prepare_pet(
    source: Annotated[
        Path,
        typer.Argument(
            help="BIDS data set, or a table (comma, semicolon or tab), one row a scan: subject, standard, low (NIfTI "
            "or DICOM folder) and, where known, label, session, split, mask, cortex, reference, weight."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Cohort folder to make.")],
    label: Annotated[str, typer.Option(help="Column that is the property; default: label, if there is one.")] = "",
    low: Annotated[str, typer.Option(help="Of a data set: what names of low-dose images hold, as rec-dose01.")] = "",
    standard: Annotated[str, typer.Option(help="Likewise of standard images; default: all others.")] = "",
    simulate_dose: Annotated[
        float, typer.Option(min=0, help="Without low-dose images: per cent of the dose whose noise is made.")
    ] = 0,
    resample: Annotated[bool, typer.Option("--resample", help="Bring low images onto the standard grid.")] = False,
    tolerance: Annotated[float, typer.Option(help="Difference of affines that is none, mm.")] = 0.01,
    frame: Annotated[int | None, typer.Option(help="Of dynamic images this frame, from 0; default: each.")] = None,
    mean: Annotated[bool, typer.Option("--mean", help="Of dynamic images the mean of all frames.")] = False,
    zero_nan: Annotated[bool, typer.Option("--zero-nan", help="NaN and infinite voxels become 0.")] = False,
    suv: Annotated[bool, typer.Option("--suv", help="Bq/mL to SUV, by the sidecars and the column weight.")] = False,
    skip: Annotated[list[str] | None, typer.Option(help="Subject or case to leave out; repeatable.")] = None,
    seed: Seed = 0,
    part: PartOf = None,
    overwrite: Overwrite = False,
) -> None:
    """PET pairs from a scanner's exports: units, pairing and grids are checked, names are BIDS."""
    from taskgan.core.settings import validated
    from taskgan.prepare.pet.cohort import prepare_pet as run
    from taskgan.prepare.pet.rows import PetPreparation

    values = {"label": label, "low": low, "standard": standard, "simulate_dose": simulate_dose}
    values |= {"resample": resample, "tolerance": tolerance, "frame": frame, "mean": mean, "zero_nan": zero_nan}
    values |= {"suv": suv, "skip": tuple(skip or ()), "seed": seed}
    settings = validated(PetPreparation, values, "prepare pet cannot start")
    run(source, out, settings, part=part, overwrite=overwrite)


@group.command("pairs")
def prepare_pairs(
    low: Annotated[Path, typer.Argument(help="Folder of degraded images (NIfTI or photos), at any depth.")],
    high: Annotated[Path, typer.Argument(help="Folder of clean ones of the same names.")],
    out: Annotated[Path, typer.Argument(help="Cohort folder to make; images stay where they are.")],
    table: Annotated[
        Path | None, typer.Option(help="CSV: case (name without ending), subject, label, split and further columns.")
    ] = None,
    seed: Seed = 0,
    part: PartOf = None,
    overwrite: Overwrite = False,
) -> None:
    """Two folders of images, paired by name."""
    from taskgan.prepare.pairs import prepare_pairs as run

    run(low, high, out, table=table, seed=seed, part=part, overwrite=overwrite)


@group.command("lfw")
def prepare_lfw(
    folder: Annotated[
        Path, typer.Argument(help="LFW, LFW-a or deep-funneled: a folder for each person with their images.")
    ],
    out: NewCohort,
    factor: Annotated[float, typer.Option(min=1, help="Down-sampling.")] = 8.0,
    sigma: Annotated[
        float | None, typer.Option(min=0, help="Blur before it, pixels; default: a third of the factor; 0: none.")
    ] = None,
    resampler: Annotated[
        str, typer.Option(help="area (mean over the new pixels) or decimate (value at their middle).")
    ] = "area",
    crop: Annotated[int, typer.Option(min=0, help="Square that is cut from the middle, pixels; 0: none.")] = 0,
    size: Annotated[int, typer.Option(min=0, help="Edge after the crop, pixels; 0: as it is.")] = 0,
    colour: Annotated[bool, typer.Option("--colour/--grey", help="What is written.")] = False,
    validation: Annotated[float, typer.Option(help="Share of the training people that validates.")] = 0.1,
    train_list: Annotated[Path | None, typer.Option(help="pairsDevTrain.txt; default: in FOLDER or beside it.")] = None,
    test_list: Annotated[Path | None, typer.Option(help="pairsDevTest.txt, likewise.")] = None,
    seed: Seed = 0,
    workers: Threads = 0,
    overwrite: Overwrite = False,
) -> None:
    """Labeled Faces in the Wild: low-resolution inputs, splits of view 1, the pairs to verify."""
    from taskgan.core.settings import validated
    from taskgan.prepare.lfw import LfwPreparation
    from taskgan.prepare.lfw import prepare_lfw as run

    width = factor / 3 if sigma is None else sigma
    steps = [{"kind": "blur", "sigma": width}] * (width > 0) + [{"kind": "down", "factor": factor, "by": resampler}]
    values = {
        "degradation": steps,
        "crop": crop,
        "size": size,
        "colour": colour,
        "validation": validation,
        "seed": seed,
    }
    settings = validated(LfwPreparation, values, "prepare lfw cannot start")
    run(folder, out, settings, train_list=train_list, test_list=test_list, workers=workers, overwrite=overwrite)


@group.command("folder")
def prepare_folder(
    folder: Annotated[Path, typer.Argument(help="Clean images (PNG, JPEG, TIFF, BMP, WebP, GIF), at any depth.")],
    out: NewCohort,
    degrade: Annotated[
        str,
        typer.Option(
            help="Steps in their order: blur:SIGMA, down:FACTOR, decimate:FACTOR, noise:SD, poisson:PEAK, "
            "jpeg:QUALITY, e.g. blur:2,down:4,noise:0.05. Sizes are brought back by bicubic interpolation."
        ),
    ],
    table: Annotated[
        Path | None, typer.Option(help="CSV: image (path below FOLDER), subject, split, label and further columns.")
    ] = None,
    by_folder: Annotated[
        bool, typer.Option("--by-folder", help="Without a table: images of one folder are of one subject.")
    ] = False,
    colour: Annotated[bool, typer.Option("--colour/--grey", help="What is written.")] = False,
    seed: Seed = 0,
    workers: Threads = 0,
    overwrite: Overwrite = False,
) -> None:
    """Any folder of images with a degradation of your choice."""
    from taskgan.core.settings import validated
    from taskgan.degrade.degradation import parse_steps
    from taskgan.prepare.folder import FolderPreparation
    from taskgan.prepare.folder import prepare_folder as run

    values = {
        "degradation": parse_steps(degrade),
        "subject": "folder" if by_folder else "image",
        "colour": colour,
        "seed": seed,
    }
    settings = validated(FolderPreparation, values, "prepare folder cannot start")
    run(folder, out, settings, table=table, workers=workers, overwrite=overwrite)
