"""``README.md`` of a model as hubs show it: a YAML header, then use, data, figures, limits, licence in words."""

from collections.abc import Sequence
from typing import Any

import yaml

from taskgan.model.folder import WEIGHTS, ModelCard
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
    return [*images, *copies, *(f"plane of ones where {data.condition} is {name}" for name in data.conditions)]


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
        card: The model.
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
    sections = {
        "Intended use": card.intended_use,
        "Training data": f"{seen.subjects} training subjects: {seen.cohort}; voxels of {edges} mm{dose}.",
        "Figures": figures or measured,
        "Limits": _listed(card.limits),
        "The graph": _listed(graph),
        "How to use": f"```\ntaskgan restore {card.name} scan.nii.gz -o out.nii.gz\n```",
        "Network": f"A U-Net of {shape.dimensions} dimensions, width {shape.width}, depth {shape.depth}; objective "
        f"{card.objective}, seed {card.seed}, step {card.step}.",
        "Licence": licence,
    }
    text = "\n\n".join(f"## {title}\n\n{body}" for title, body in sections.items() if body)
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n\n# {card.name}\n\n{text}\n"


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
