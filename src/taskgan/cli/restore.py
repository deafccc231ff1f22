"""``taskgan restore``: a model, or a fit of physics, applied to files."""

from pathlib import Path
from typing import Annotated, Any

import typer

from taskgan.cli.options import Index, Overwrite, PartOf, Scheduler, Select, parse_select
from taskgan.core.errors import UserError

RELAXOMETRY = "relaxometry"
FILTERS = ("gaussian", "nlm")


Method = Annotated[
    str,
    typer.Argument(
        help="Model folder (RUN/model), run folder or a name of taskgan models; relaxometry fits T1, T2, density and "
        "B1 to a multi-delay multi-echo input; gaussian and nlm (non-local means) are filters, tuned on validation "
        "subjects (a model folder of that name is ./relaxometry)."
    ),
]
Suv = Annotated[bool, typer.Option("--suv", help="Of PET series: say the body-weight SUV, or why there is none.")]
Pdf = Annotated[bool, typer.Option("--pdf", help="Of DICOM: add a page (input, restored, difference) to the study.")]
KeepValues = Annotated[
    str,
    typer.Option(
        help="Give back the input's means: 16mm (behind a Gaussian of that SD), a file of regions in the image's "
        "space, or columns of pairs.csv with such files (cortex,reference)."
    ),
]
Average = Annotated[str, typer.Option(help="flips: mean with the restoration of the mirrored image.")]
Toward = Annotated[Path | None, typer.Option(help="A model that was started from MODEL, see --strength.")]
Strength = Annotated[float | None, typer.Option(help="Weights between two models: 0 is MODEL, 1 is --toward.")]
Inputs = Annotated[
    list[Path],
    typer.Argument(help="NIfTI files, photos or DICOM series, folders of them, a DICOMDIR, or a cohort's pairs.csv."),
]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder, or a file for a single input (.nii.gz; of a photo .png).")
]
Samples = Annotated[int, typer.Option(min=0, help="Draw N restorations (dropout as z): writes their mean and SD.")]
Conditions = Annotated[
    list[str] | None,
    typer.Option("--condition", help="Only this of several contrasts that the model makes; repeatable."),
]
Numbers = Annotated[
    list[str] | None,
    typer.Option("--set", help="COLUMN=NUMBER that the model is told of images without a table, e.g. dose=5."),
]
Series = Annotated[
    list[str] | None,
    typer.Option(help="Of a study only these: number, UID, modality (PT) or pattern ('*AC*'); repeatable."),
]
Engine = Annotated[
    str, typer.Option(help="torch, onnxruntime, openvino, or auto: what was measured to be faster here.")
]
Enlarge = Annotated[
    str, typer.Option(help="Of photos: N times as many pixels first; auto: the factor that the model card knows.")
]
ProtocolFile = Annotated[
    Path | None, typer.Option(help="Of relaxometry: YAML with mdme and targets, in place of the sidecars' times.")
]
ReadAs = Annotated[
    str | None, typer.Option(help="Of relaxometry and filters: how evaluate reads the images; default: mr, pet.")
]
Calibrate = Annotated[
    int,
    typer.Option(
        min=0, help="Of relaxometry: a factor for each contrast from N training subjects; images have own gains."
    ),
]


def restore(
    model: Method,
    inputs: Inputs,
    out: Out,
    samples: Samples = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    split: Annotated[str | None, typer.Option(help="Of a pairs.csv, only this split.")] = None,
    select: Select = None,
    conditions: Conditions = None,
    numbers: Numbers = None,
    series: Series = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Slices at once; changes memory, not results.")] = 4,
    precision: Annotated[str, typer.Option(help="auto, 32 or bf16.")] = "auto",
    engine: Engine = "torch",
    index: Index = None,
    keep_values: KeepValues = "",
    average: Average = "",
    toward: Toward = None,
    strength: Strength = None,
    suv: Suv = False,
    pdf: Pdf = False,
    enlarge: Enlarge = "1",
    maps: Annotated[bool, typer.Option("--maps", help="Of relaxometry: write T1, T2, density and B1.")] = False,
    protocol: ProtocolFile = None,
    recipe: ReadAs = None,
    calibrate: Calibrate = 0,
    part: PartOf = None,
    scheduler: Scheduler = None,
    overwrite: Overwrite = False,
) -> None:
    """Apply a model: same grid, affine, units and scale as the input; of DICOM, a derived series."""
    refined: dict[str, Any] = {"keep_values": keep_values, "average": average, "toward": toward, "strength": strength}
    of_models = {"--samples": samples} | {f"--{name.replace('_', '-')}": value for name, value in refined.items()}
    of_models |= {"--strength": strength is not None, "--enlarge": enlarge != "1", "--series": series, "--set": numbers}
    of_models |= {"--engine": engine != "torch", "--index": index, "--part": part}
    of_models |= {"--scheduler": scheduler}
    of_physics = {"--maps": maps, "--protocol": protocol, "--calibrate": calibrate}
    common: dict[str, Any] = {"split": split, "select": parse_select(select), "overwrite": overwrite}
    if model == RELAXOMETRY:
        _refuse(of_models, "{} is of a model; relaxometry is none")
        options: dict[str, Any] = {"conditions": conditions or (), "maps": maps, "calibration": calibrate}
        _fit(inputs, out, recipe or "mr", protocol, options | common)
    elif model in FILTERS:
        _refuse(of_models | of_physics | {"--condition": conditions}, f"{{}} is not for {model}, a filter")
        _filter(model, inputs, out, recipe or "pet", common)
    else:
        _refuse(of_physics | {"--recipe": recipe}, f"{{}} is of relaxometry; {model} is a model")
        from taskgan.restore.refine import Refinement
        from taskgan.restore.run import restore as run

        run(
            model,
            inputs,
            out,
            samples=samples,
            seed=seed,
            conditions=conditions or (),
            numbers=parse_select(numbers, "--set"),
            batch_size=batch_size,
            precision=precision,
            engine=engine,
            index=index,
            series=series or (),
            suv=suv,
            pdf=pdf,
            enlarge=enlarge,
            refinement=Refinement(**refined),
            part=part,
            scheduler=scheduler,
            **common,
        )


def _refuse(options: dict[str, Any], sentence: str) -> None:
    """Refuse what another method is told by."""
    if specified := [name for name, value in options.items() if value not in (None, "", 0, False, [])]:
        raise UserError(sentence.format(specified[0]))


def _filter(method: str, inputs: list[Path], out: Path, recipe: str, options: dict[str, Any]) -> None:
    from taskgan.recipe import read_recipe
    from taskgan.restore.filters import restore_by_filter

    restore_by_filter(method, inputs, out, recipe=read_recipe(recipe), **options)


def _fit(inputs: list[Path], out: Path, recipe: str, protocol: Path | None, options: dict[str, Any]) -> None:
    from taskgan.recipe import read_recipe
    from taskgan.relaxometry.files import restore_by_relaxometry
    from taskgan.relaxometry.protocol import read_protocol

    loaded = read_protocol(protocol) if protocol else None
    restore_by_relaxometry(inputs, out, recipe=read_recipe(recipe), protocol_file=loaded, **options)
