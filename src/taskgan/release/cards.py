"""``README.md`` of a model as hubs show it: a YAML header, then use, data, figures, limits, licence in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.core.parse import parse_json, read_text
from taskgan.model.folder import WEIGHTS, ModelCard
from taskgan.recipe import Data

_QUALITY = (("psnr", "PSNR (dB)", 2), ("ssim", "SSIM", 3), ("rmse_relative", "relative RMSE", 3))
_SCALES = {
    "mean_nonzero": "the mean of the degraded volume's voxels above zero",
    "mean_foreground": "the mean of the degraded volume's voxels above a tenth of its 99th percentile",
    "percentile": "the {percentile:g}th percentile of the degraded volume",
}
Figures = dict[str, Mapping[str, Any]]


def read_figures(evaluations: Sequence[Path]) -> Figures:
    """What evaluations of the same test subjects say of each method, the input and the clean image not twice.

    Raises:
        UserError: If a folder is no evaluation.
    """
    figures: Figures = {}
    for folder in evaluations:
        if not (folder / "summary.json").is_file() or "method" not in read_yaml(folder / "evaluation.yaml"):
            raise UserError(f"{folder} is no evaluation; expected a folder with evaluation.yaml and summary.json")
        summary = parse_json(read_text(folder / "summary.json"), str(folder))
        figures |= {name: values for name, values in summary.items() if name != "clean"}
    return figures


def channel_names(data: Data) -> list[str]:
    """The channels of a generator's input, in order."""
    images = [*data.inputs]
    for step in range(1, data.neighbours + 1):
        images += [f"{name} of slice {sign}{step}" for sign in "-+" for name in data.inputs]
    copies = [f"{data.inputs[0]} behind a 3D Gaussian of SD {sd:g} mm" for sd in data.context]
    return [*images, *copies, *(f"plane of ones where {data.condition} is {name}" for name in data.conditions)]


def processing(card: ModelCard) -> dict[str, Any]:
    """What is to be done before and after the graph, and how its tensors are laid out."""
    data, volume = card.data, card.data.patch is not None
    sizes = "(batch, channels, slices, x, y)" if volume else "(batch, channels, x, y), a slice each"
    before = [f"Turn the volume to the axes {data.axes or 'of its file'}; slices lie along the third."]
    if kind := _SCALES.get(data.intensity.kind):
        before.append(f"Divide it by its scale: {kind.format(percentile=data.intensity.percentile)}.")
    if len(data.inputs) > 1:
        by = "the same scale" if data.intensity.shared else "a scale of its own, found likewise"
        before.append(f"Divide each further input by {by}.")
    if data.neighbours:
        before.append("Beyond the first and the last slice that slice is repeated.")
    if data.context:
        before.append("Gaussians are cut off at 3 SD; beyond the frame the outermost values go on.")
    after = ["Take the one output channel; it is within the model's bounds already."]
    if card.generator.projection:
        after.append("Project it onto what the input allows (taskgan.networks.projection): no part of the graph.")
    after.append("Set slices to zero where all inputs are zero.")
    if data.intensity.kind in _SCALES:
        after.append("Multiply by the scale, turn back to the file's axes.")
    return {"input": f"float32 {sizes}", "channels": channel_names(data), "before": before, "after": after}


def model_readme(card: ModelCard, *, licence: str, figures: Figures, graph: Sequence[str] = ()) -> str:
    """The card in words.

    Args:
        card: The model.
        licence: SPDX identifier in lower case, or ``other``.
        figures: See :func:`read_figures`; empty gives what the card itself has.
        graph: Sentences on an exported graph.
    """
    results = [
        {"type": key, "name": title, "value": round(float(values["quality"][key]["estimate"]), digits + 1)}
        for method, values in figures.items()
        if method == card.objective
        for key, title, digits in _QUALITY
    ]
    header: dict[str, Any] = {
        "license": licence,
        "library_name": "taskgan",
        "pipeline_tag": "image-to-image",
        "tags": ["image-restoration", "medical", *([card.seen.suffix] if card.seen.suffix else [])],
        "sha256": {WEIGHTS: card.checksum},
    }
    if results:
        task = {"type": "image-to-image", "name": "restoration"}
        data = {"type": "image-pairs", "name": f"test subjects of {card.seen.cohort}"}
        header["model-index"] = [
            {"name": card.name, "results": [{"task": task, "dataset": data, "metrics": results}]}
        ]
    seen, shape = card.seen, card.generator
    edges = " × ".join(f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in seen.voxel_size)
    doses = ", ".join(seen.metadata.get("dose", ()))
    measured = ", ".join(f"{key} {value:.4g}" for key, value in card.measured.items())
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---",
        f"# {card.name}",
        f"## Intended use\n\n{card.intended_use}",
        f"## Training data\n\n{seen.subjects} training subjects of the cohort {seen.cohort}; voxels of {edges} mm"
        f"{f'; dose {doses} % of the standard' if doses else ''}.",
        f"## Figures\n\n{_table(figures) if figures else measured or 'None were measured.'}",
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in card.limits),
        *(["## The graph\n\n" + "\n".join(f"- {sentence}" for sentence in graph)] if graph else []),
        f"## How to use\n\n```\ntaskgan restore {card.name} scan.nii.gz -o out.nii.gz\n```",
        f"## Network\n\nA U-Net of {shape.dimensions} dimensions, width {shape.width}, depth {shape.depth}; "
        f"objective {card.objective}, seed {card.seed}, step {card.step}.",
        f"## Licence\n\n{licence}",
    ]
    return "\n\n".join(parts) + "\n"


def _table(figures: Figures) -> str:
    """Means over subjects with their 95 % intervals, a row a method."""
    lines = [
        f"| | {' | '.join(title for _, title, _ in _QUALITY)} | test subjects |",
        "| --- | --- | --- | --- | --- |",
    ]
    for method, values in figures.items():
        cells = []
        for key, _, digits in _QUALITY:
            one = values["quality"][key]
            cells.append(f"{one['estimate']:.{digits}f} ({one['low']:.{digits}f} to {one['high']:.{digits}f})")
        lines.append(f"| {method} | {' | '.join(cells)} | {values['subjects']} |")
    return "\n".join([*lines, "", "Mean over test subjects, whole frame, 95 % interval by subject."])
