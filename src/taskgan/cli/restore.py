"""``taskgan restore``: a model, or a fit of physics, applied to files."""

from pathlib import Path
from typing import Annotated, Any

import typer

from taskgan.cli.options import Index, Overwrite, PartOf, Select, parse_select
from taskgan.core.errors import UserError
from taskgan.core.parts import parse_part

RELAXOMETRY = "relaxometry"
FILTERS = ("gaussian", "nlm")


def restore(
    model: Annotated[
        str,
        typer.Argument(
            help="Model folder (RUN/model), run folder or a name of taskgan models; "
            "relaxometry fits T1, T2, density and B1 to a multi-delay "
            "multi-echo input; gaussian and nlm (non-local means) are filters, tuned on validation subjects "
            "(a model folder of that name is ./relaxometry)."
        ),
    ],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="NIfTI files, photos or DICOM series, folders of them, a DICOMDIR, or a cohort's pairs.csv."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder, or a file for a single input (.nii.gz; of a photo .png).")
    ],
    samples: Annotated[
        int, typer.Option(min=0, help="Draw N restorations (dropout as z): writes their mean and SD.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    split: Annotated[str | None, typer.Option(help="Of a pairs.csv, only this split.")] = None,
    select: Select = None,
    conditions: Annotated[
        list[str] | None,
        typer.Option("--condition", help="Only this of several contrasts that the model makes; repeatable."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Slices at once; changes memory, not results.")] = 4,
    precision: Annotated[str, typer.Option(help="auto, 32 or bf16.")] = "auto",
    engine: Annotated[
        str, typer.Option(help="torch, onnxruntime, openvino, or auto: what was measured to be faster here.")
    ] = "torch",
    index: Index = None,
    suv: Annotated[
        bool, typer.Option("--suv", help="Of PET series: say the body-weight SUV, or why there is none.")
    ] = False,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Of DICOM: add a page (input, restored, difference) to the study.")
    ] = False,
    maps: Annotated[bool, typer.Option("--maps", help="Of relaxometry: write T1, T2, density and B1.")] = False,
    protocol: Annotated[
        Path | None, typer.Option(help="Of relaxometry: YAML with mdme and targets, in place of the sidecars' times.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Of relaxometry and filters: how evaluate reads the images; default: mr, pet.")
    ] = None,
    calibrate: Annotated[
        int,
        typer.Option(
            min=0, help="Of relaxometry: a factor for each contrast from N training subjects; images have own gains."
        ),
    ] = 0,
    part: PartOf = None,
    overwrite: Overwrite = False,
) -> None:
    """Apply a model: same grid, affine, units and scale as the input; of DICOM, a derived series."""
    if model in (RELAXOMETRY, *FILTERS) and (engine != "torch" or part):
        raise UserError(f"--engine and --part are for models; {model} has no network")
    if model == RELAXOMETRY:
        if samples:
            raise UserError("--samples draws the z of a model; relaxometry has none")
        options: dict[str, Any] = {"split": split, "select": parse_select(select), "conditions": conditions or ()}
        options |= {"maps": maps, "calibration": calibrate, "overwrite": overwrite}
        _fit(inputs, out, recipe or "mr", protocol, options)
        return
    if model in FILTERS:
        refused = {"--samples": samples, "--condition": conditions, "--maps": maps, "--protocol": protocol}
        if specified := [option for option, value in (refused | {"--calibrate": calibrate}).items() if value]:
            raise UserError(f"{specified[0]} is not for {model}, a filter")
        _filter(model, inputs, out, recipe or "pet", split, parse_select(select), overwrite)
        return
    own = {"--maps": maps, "--protocol": protocol, "--recipe": recipe, "--calibrate": calibrate}
    if specified := [option for option, value in own.items() if value]:
        raise UserError(f"{specified[0]} is of relaxometry; {model} is a model")
    from taskgan.restore.run import restore as run

    run(
        model,
        inputs,
        out,
        samples=samples,
        seed=seed,
        split=split,
        select=parse_select(select),
        conditions=conditions or (),
        batch_size=batch_size,
        precision=precision,
        engine=engine,
        index=index,
        suv=suv,
        pdf=pdf,
        part=parse_part(part),
        overwrite=overwrite,
    )


def _filter(
    method: str,
    inputs: list[Path],
    out: Path,
    recipe: str,
    split: str | None,
    select: dict[str, str],
    overwrite: bool,
) -> None:
    from taskgan.recipe import read_recipe
    from taskgan.restore.filters import restore_by_filter

    settings = read_recipe(recipe)
    restore_by_filter(method, inputs, out, recipe=settings, split=split, select=select, overwrite=overwrite)


def _fit(inputs: list[Path], out: Path, recipe: str, protocol: Path | None, options: dict[str, Any]) -> None:
    from taskgan.recipe import read_recipe
    from taskgan.relaxometry.files import restore_by_relaxometry
    from taskgan.relaxometry.protocol import read_protocol

    loaded = read_protocol(protocol) if protocol else None
    restore_by_relaxometry(inputs, out, recipe=read_recipe(recipe), protocol_file=loaded, **options)
