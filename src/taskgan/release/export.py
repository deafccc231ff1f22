"""``taskgan export``: a generator as a graph that runs without PyTorch, and its card in the words of model hubs."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from taskgan.core.artefact import commit, differing, is_done, request_digest
from taskgan.core.console import say
from taskgan.core.errors import Failed, UserError
from taskgan.core.files import PathLike, atomic, atomic_folder, checksum, folder_files, versions, write_text
from taskgan.core.lock import exclusive
from taskgan.core.parse import parse_yaml, read_text
from taskgan.core.version import __version__
from taskgan.model import engines
from taskgan.model.engines import fold_batch_norms
from taskgan.model.folder import CARD, WEIGHTS, ModelCard, build_generator, read_model, write_model
from taskgan.model.shelf import model_folder
from taskgan.networks.generator import UNet
from taskgan.networks.volume_unet import VolumeUNet
from taskgan.recipe import Data

_SCALES = {
    "mean_nonzero": "the mean of the degraded volume's voxels above zero",
    "mean_foreground": "the mean of the degraded volume's voxels above a tenth of its 99th percentile",
    "percentile": "the {percentile:g}th percentile of the degraded volume",
}


def channel_names(data: Data) -> list[str]:
    """The channels of a generator's input, in order."""
    sides = [f" of slice {sign}{step}" for step in range(1, data.neighbours + 1) for sign in "-+"]
    colours = [f", {colour}" for colour in ("red", "green", "blue")] if data.colours > 1 else [""]
    images = [f"{name}{side}{colour}" for side in ("", *sides) for name in data.inputs for colour in colours]
    copies = [f"{data.inputs[0]} behind a 3D Gaussian of SD {sd:g} mm" for sd in data.context]
    planes = [f"plane of ones where {data.condition} is {name}" for name in data.conditions]
    for name, scale in data.numeric_scales.items():
        planes.append(f"{'log ' * scale.log}{name}, a constant plane: -1 at {scale.low:g}, 1 at {scale.high:g}")
    return [*images, *copies, *planes]


def processing(card: ModelCard) -> dict[str, Any]:
    """What is to be done before and after the graph, and how its tensors are laid out."""
    data, kind = card.data, _SCALES.get(card.data.intensity.kind, "")
    sizes = "(batch, channels, slices, x, y)" if data.patch else "(batch, channels, x, y), a slice each"
    by = "the same scale" if data.intensity.shared else "a scale of its own, found likewise"
    before = (
        (True, f"Turn the volume to the axes {data.axes or 'of its file'}; slices lie along the third."),
        (kind, f"Divide it by its scale: {kind.format(percentile=data.intensity.percentile)}."),
        (kind and len(data.inputs) > 1, f"Divide each further input by {by}."),
        (data.neighbours, "Beyond the first and the last slice that slice is repeated."),
        (data.context, "Gaussians are cut off at 3 SD; beyond the frame the outermost values go on."),
    )
    after = (
        (True, f"Output channels: {data.colours}, within the model's bounds already."),
        (card.generator.projection, "Project it onto what the input allows (taskgan.networks.projection)."),
        (True, "Set slices to zero where all inputs are zero."),
        (kind, "Multiply by the scale."),
        (True, "Turn it back to the file's axes."),
    )
    wanted = {name: [text for holds, text in rows if holds] for name, rows in (("before", before), ("after", after))}
    return {"input": f"float32 {sizes}", "channels": channel_names(data), **wanted}


def model_readme(
    card: ModelCard, *, licence: str, figures: str = "", metrics: Sequence[Any] = (), graph: Sequence[str] = ()
) -> str:
    """The card in words.

    Args:
        licence: SPDX identifier in lower case, or ``other``.
        figures: A table of what was measured; empty gives what the card itself has.
        metrics: Of test subjects, for the header: type, name and value of each.
        graph: Sentences on an exported graph.
    """
    header: dict[str, Any] = {"license": licence, "library_name": "taskgan", "pipeline_tag": "image-to-image"}
    header |= {"tags": ["image-restoration", "medical"], "sha256": {WEIGHTS: card.checksum}}
    if metrics:
        data = {"type": "image-pairs", "name": f"test subjects of {card.seen.cohort}"}
        result = {"task": {"type": "image-to-image"}, "dataset": data, "metrics": [*metrics]}
        header["model-index"] = [{"name": card.name, "results": [result]}]
    seen, shape = card.seen, card.generator
    edges = " × ".join(f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in seen.voxel_size)
    dose = f"; dose {', '.join(seen.metadata['dose'])} % of the standard" if "dose" in seen.metadata else ""
    measured = ", ".join(f"{key} {value:.4g}" for key, value in card.measured.items()) or "None were measured."
    images = "scan.nii.gz -o out.nii.gz" if card.data.inputs[1:] + card.data.conditions == () else "COHORT -o RESTORED"
    sections = {
        "Intended use": card.intended_use,
        "Training data": f"{seen.subjects} training subjects: {seen.cohort}; voxels of {edges} mm{dose}.",
        "Figures": figures or measured,
        "Limits": _listed(card.limits),
        "The graph": _listed(graph),
        "How to use": f"```\ntaskgan restore {card.name} {images}\n```",
        "Network": f"A U-Net of {shape.dimensions} dimensions, width {shape.width}, depth {shape.depth}; objective "
        f"{card.objective}, seed {card.seed}, step {card.step}.",
        "Licence": licence,
    }
    text = "\n\n".join(f"## {title}\n\n{body}" for title, body in sections.items() if body)
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n\n# {card.name}\n\n{text}\n"


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


MARKER = "export.yaml"
FORMATS = {"onnx": "model.onnx", "openvino": "model.xml", "torch-export": "model.pt2"}
_NEEDS = {"onnx": ("onnxruntime",), "openvino": ("onnxruntime", "openvino"), "torch-export": ()}
TOLERANCE = 1e-4  # of the largest value


@exclusive("out", "the exported model")
@exclusive("out", "the model", beside=True)
def export_to_hub(model: PathLike, out: PathLike, *, licence: str = "other", overwrite: bool = False) -> Path:
    """Write a model in the layout of model hubs: weights, ``model.yaml`` and ``README.md`` with its YAML header.

    Args:
        model: Model folder, run folder, or the name of a listed model.
        out: Folder, which is returned; a repository of a hub takes it as it is.
        licence: SPDX identifier in lower case, or ``other``; of a model that has a README.md, that is kept instead.
        overwrite: Replace what is there.

    Raises:
        UserError: If there is no such model, or the output does not allow it.
    """
    out, model = Path(out), model_folder(model)
    state, card = read_model(model)
    written = model / "README.md"
    text = read_text(written) if written.is_file() else model_readme(card, licence=licence)
    _place(out, state, card, text, overwrite=overwrite)
    say(f"{out}: {card.name} in the layout of model hubs; taskgan models import {out} INDEX/NAME takes it")
    return out


@exclusive("out", "the model", beside=True)
def import_from_hub(folder: PathLike, out: PathLike, *, overwrite: bool = False) -> Path:
    """Take a folder in the layout of model hubs into an index, if its weights are those that its cards vouch for.

    Args:
        folder: ``generator.safetensors``, ``model.yaml`` and ``README.md`` whose header may have a ``sha256``.
        out: Folder in an index, ``INDEX/NAME`` or ``INDEX/FAMILY/VARIANT``, which is returned.
        overwrite: Replace what is there.

    Raises:
        UserError: If a file is missing, cannot be read or was changed, or the output does not allow it.
    """
    folder, out = Path(folder), Path(out)
    if absent := [name for name in (WEIGHTS, CARD, "README.md") if not (folder / name).is_file()]:
        raise UserError(
            f"{folder} holds no {absent[0]}, expected a model in the layout of hubs (taskgan models export)"
        )
    if wrong := differing(folder / CARD):
        raise UserError(f"{wrong[0]}; expected the weights that {CARD} vouches for")
    text = read_text(folder / "README.md")
    _, _, rest = text.partition("---\n")
    header = parse_yaml(rest.partition("\n---")[0], str(folder / "README.md"))
    sums = header.get("sha256") if isinstance(header, dict) else None
    state, card = read_model(folder)
    if isinstance(sums, dict) and sums.get(WEIGHTS, card.checksum) != card.checksum:
        raise UserError(
            f"{folder / 'README.md'} vouches for other weights than {folder / CARD}, expected the same SHA-256"
        )
    _place(out, state, card, text, overwrite=overwrite)
    say(f"{out}: {card.name}, every file as it was released; next: taskgan restore {out} scan.nii.gz -o out.nii.gz")
    return out


def _place(out: Path, state: Mapping[str, torch.Tensor], card: ModelCard, text: str, *, overwrite: bool) -> None:
    weights, page = out / WEIGHTS, out / "README.md"  # written last: a call that was killed is gone on with
    begun = weights.is_file() and checksum(weights) == card.checksum
    if not overwrite and folder_files(out) and not (begun and (not page.is_file() or read_text(page) == text)):
        raise UserError(f"{out} holds something else; choose another folder or pass --overwrite")
    write_model(out, state, card)
    write_text(page, text)


@exclusive("out", "the exported model", beside=True)
def export(
    model: PathLike, out: PathLike, *, to: str = "onnx", licence: str = "other", overwrite: bool = False
) -> Path:
    """Write a model's graph, of any size of image, with a card that says what goes before and after it.

    The graph is run on sizes that do not divide before it is vouched for, and held against torch.

    Args:
        model: Model folder, run folder, or the name of a listed model.
        out: Folder, which is returned.
        to: ``onnx``, ``openvino`` or ``torch-export``.
        overwrite: Replace an earlier export.

    Raises:
        UserError: If the format is unknown or its library missing, the model cannot be exported, or the output does
            not allow it.
        Failed: If the graph does not give what torch gives.
    """
    out, model = Path(out), model_folder(model)
    if to not in FORMATS:
        raise UserError(f"--to is {to!r}, expected one of {', '.join(FORMATS)}")
    if absent := [name for name in _NEEDS[to] if not engines.is_installed(name)]:
        raise UserError(f"--to {to} needs {absent[0]}, which is not installed: pip install 'taskgan[export]'")
    state, card = read_model(model)
    request = request_digest(out, model=card.checksum, to=to, licence=licence, version=__version__)
    if not overwrite and is_done(out / MARKER, request):
        return out
    if not overwrite and folder_files(out):
        raise UserError(f"{out} holds something else; choose another folder or pass --overwrite")
    network: nn.Module = build_generator(state, card, str(model))
    if isinstance(network, UNet):
        network = fold_batch_norms(network, in_place=True)
        network.projection = None  # of the image's size, so no part of a graph: the card says so
    (out / MARKER).unlink(missing_ok=True)
    with nullcontext(out) if folder_files(out) else atomic_folder(out) as folder:
        files, run = _write_graph(network, folder, to)
        if (error := _largest_error(network, run)) > TOLERANCE:
            raise Failed(f"{out} differs from the model by {error:.1e} of the range, expected at most {TOLERANCE:g}")
        steps = processing(card)
        load = "Load it with torch.export.load(path).module(check_guards=False): guards ask how tensors lie in memory."
        sentences = [
            *([load] if to == "torch-export" else []),
            f"{FORMATS[to]}: input x, {steps['input']}, any batch and size.",
            f"Channels: {'; '.join(f'{index} {name}' for index, name in enumerate(steps['channels']))}.",
            *(*steps["before"], *steps["after"]),
            f"Held against torch on sizes that do not divide: at most {error:.0e} of the range off.",
        ]
        write_text(folder / "README.md", model_readme(card, licence=licence, graph=sentences))
        values = {"model": card.name, "checksum": card.checksum, "format": to, "largest_error": float(f"{error:.2g}")}
        values |= {"processing": steps, "request": request, "versions": versions()}
        commit(folder / MARKER, values, [*files, folder / "README.md"])
    say(f"{out / FORMATS[to]}: {card.name} for {to}, at most {error:.0e} of the range from torch; README.md says how")
    return out


def _write_graph(network: nn.Module, out: Path, to: str) -> tuple[list[Path], engines.Run]:
    """The files of a graph, and what runs them."""
    program = engines.exported_program(network, torch.rand(2, *example_shape(network)), dynamic=True)
    target = out / FORMATS[to]
    if to == "torch-export":
        with atomic(target) as partial, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of weights that share memory
            torch.export.save(program, partial)
        module = torch.export.load(target).module(check_guards=False)
        return [target], lambda images: np.asarray(module(torch.from_numpy(images)).detach().numpy())
    proto = engines.onnx_file(program)
    if to == "onnx":
        with atomic(target) as partial:
            partial.write_bytes(proto)
        return [target], engines.onnxruntime_run(str(target))
    import openvino

    # By way of ONNX: of a program OpenVINO does not read sizes that are computed from sizes.
    graph, weights = openvino.Core().read_model(proto, b""), target.with_suffix(".bin")
    with atomic(weights) as partial:  # beside it OpenVINO writes the other file
        openvino.save_model(graph, partial.with_suffix(".xml"), compress_to_fp16=False)
        partial.with_suffix(".xml").replace(target)
    return [target, weights], engines.openvino_run(str(target))


def example_shape(network: nn.Module, extra: tuple[int, int, int] = (3, 5, 6)) -> tuple[int, ...]:
    """(C, H, W) or (C, D, H, W) to trace or try a graph on: larger than what shrinks to a pixel, dividing nothing."""
    if isinstance(network, VolumeUNet):
        return network.in_channels, *(2 * stride + more for stride, more in zip(network.stride, extra, strict=True))
    assert isinstance(network, UNet)
    return network.in_channels, 2 ** len(network.down) + extra[1], 2 ** len(network.down) + extra[2]


def _largest_error(network: nn.Module, run: engines.Run) -> float:
    """The largest difference over shapes that do not divide, as a share of the largest value."""
    largest = 0.0
    for batch, extra in ((1, (1, 1, 9)), (3, (5, 10, 3))):
        x = torch.rand(batch, *example_shape(network, extra), generator=torch.Generator().manual_seed(batch))
        with torch.inference_mode():
            exact = network(x).numpy()
        scale = max(float(np.abs(exact).max()), float(np.finfo(np.float32).tiny))
        largest = max(largest, float(np.abs(run(x.numpy()) - exact).max()) / scale)
    return largest
