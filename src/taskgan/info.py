"""``taskgan info``: what is this folder? Read from its YAML and CSV alone, so it answers at once."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from taskgan.cohort.description import read_description
from taskgan.cohort.pairs import REQUIRED_TO_RESTORE, SPLITS, Pairs, read_pairs
from taskgan.errors import UserError
from taskgan.files import read_yaml


def describe(place: Path) -> str:
    """A readable summary of a cohort, run, model, recogniser, restored, evaluation, report, audit or demo folder.

    Args:
        place: The folder, or the file that makes it one (``pairs.csv``, ``model.yaml``).

    Raises:
        UserError: If it does not exist or is none of these.
    """
    if not place.exists():
        raise UserError(f"{place} does not exist; expected a folder that taskgan made or a pairs.csv")
    folder = place if place.is_dir() else place.parent
    for marker, tell in _KINDS.items():
        if (folder / marker).is_file() and (place.is_dir() or place.name == marker):
            return tell(folder)
    if place.is_file() and place.suffix == ".csv":  # a table may have another name
        return _cohort(place)
    raise UserError(f"{place} is nothing that taskgan made; expected one of {', '.join(_KINDS)} in it")


def _cohort(place: Path) -> str:
    pairs = read_pairs(place, REQUIRED_TO_RESTORE)
    about = read_description(pairs.folder)
    lines = [f"cohort {place}: {len(pairs)} pairs of {len({p.subject for p in pairs})} subjects"]
    if about:
        lines.append(
            f"  made by      {about.get('made_by', 'unknown')} (kind {about.get('kind', 'unknown')})"
        )
    lines += [f"  {name:<12} {_split(pairs.split(name))}" for name in SPLITS if len(pairs.split(name))]
    known = {*REQUIRED_TO_RESTORE, "subject", "split", "clean", "label"}
    further = [c for c in pairs.columns if c not in known]
    if further:
        lines.append(f"  columns      {', '.join(further)}")
    for column in ("dose", "contrast", "anatomy"):
        if column in further:
            counts = Counter(p.columns[column] for p in pairs)
            lines.append(f"  {column:<12} {_counts(counts)}")
    lines += _section("measured", about.get("measured"))
    lines += _section("settings", about.get("settings"))
    lines += _section("versions", about.get("versions"))
    return "\n".join(lines)


def _split(pairs: Pairs) -> str:
    labels: dict[str, set[str]] = {}
    for p in pairs:
        labels.setdefault(p.subject, set()).add("no label" if p.label is None else f"label {p.label:g}")
    if all(len(own) == 1 for own in labels.values()):
        return f"{len(labels)} subjects ({_counts(Counter(own.pop() for own in labels.values()))})"
    # Labels that differ within a subject, such as contrasts, are those of its pairs.
    of_pairs = Counter("no label" if p.label is None else f"label {p.label:g}" for p in pairs)
    return f"{len(labels)} subjects, {len(pairs)} pairs ({_counts(of_pairs)})"


def _counts(counts: Mapping[str, int]) -> str:
    shown = [f"{n} × {value or 'none'}" for value, n in sorted(counts.items())]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")


def _run(folder: Path) -> str:
    recipe = read_yaml(folder / "recipe.yaml")
    optimiser = recipe.get("optimiser")
    steps = optimiser.get("steps", "?") if isinstance(optimiser, dict) else "?"
    last = _last_row(folder / "metrics.csv")
    lines = [f"run {folder}: objective {recipe.get('objective')}, seed {recipe.get('seed')}"]
    lines.append(f"  step         {last.get('step', 0)} of {steps}")
    lines += _section("last", {k: v for k, v in last.items() if v not in ("", None) and k != "step"})
    if (folder / "run.yaml").is_file():
        lines += _section("run", read_yaml(folder / "run.yaml"))
    if (folder / "model" / "model.yaml").is_file():
        lines.append(f"  model        {folder / 'model'} (taskgan info {folder / 'model'})")
    return "\n".join(lines)


def _sweep(folder: Path) -> str:
    record = read_yaml(folder / "sweep.yaml")
    ends = Counter(str(read_yaml(path).get("status")) for path in (folder / "runs").glob("*/outcome.yaml"))
    begun = sum(1 for _ in (folder / "runs").glob("*/recipe.yaml"))
    lines = [f"sweep {folder}: recipe {record.get('recipe')}, {record.get('status')}"]
    lines.append(f"  runs         {begun} begun, {_counts(ends) if ends else 'none ended'}")
    chosen, settings = record.get("chosen"), record.get("settings")
    if isinstance(chosen, Mapping):
        lines += [f"  rule         {record.get('rule')}", f"  chosen       {chosen.get('setting')}"]
        lines.append(f"  train it     {chosen.get('command')}")
    ties = record.get("ties")
    if isinstance(ties, list) and ties:
        lines.append(f"  no different {'; '.join(str(one) for one in ties)}")
    for one in settings if isinstance(settings, list) else ():
        if isinstance(one, Mapping):
            figures = "  ".join(
                f"{name} {_short(one[name].get('estimate'))}"
                for name in ("psnr", "judge_mae", "suvr_error")
                if isinstance(one.get(name), Mapping) and one[name].get("estimate") is not None
            )
            lines.append(f"    {one.get('setting')}: {figures or one.get('status')}")
    lines += _section("grid", record.get("grid"))
    return "\n".join(lines)


def _last_row(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as handle:
        rows = list(csv.DictReader(handle))
    return {k: v for k, v in rows[-1].items() if k} if rows else {}


def _yaml(kind: str, name: str) -> Callable[[Path], str]:
    def tell(folder: Path) -> str:
        return "\n".join([f"{kind} {folder}", *_nested(read_yaml(folder / name), "  ")])

    return tell


def _evaluation(folder: Path) -> str:
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{folder / 'summary.json'} is not valid JSON: {error}") from None
    if not isinstance(summary, dict):
        raise UserError(f"{folder / 'summary.json'} holds {type(summary).__name__}, expected an evaluation")
    return "\n".join([f"evaluation {folder}", *_nested(summary, "  ")])


def _audit(folder: Path) -> str:
    found = read_yaml(folder / "audit.yaml")
    lines = [f"audit {folder}: {found.get('method')}, {found.get('subjects')} subjects"]
    lines += [
        f"  {found.get('headline')}",
        *_nested({k: found.get(k) for k in ("findings", "warnings")}, "  "),
    ]
    return "\n".join(lines)


def _section(title: str, values: Any) -> list[str]:
    return [f"  {title}", *_nested(values, "    ")] if isinstance(values, Mapping) and values else []


def _nested(values: Mapping[str, Any], indent: str) -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}{key}", *_nested(value, indent + "  ")]
        elif isinstance(value, list) and any(isinstance(v, str) and " " in v for v in value):
            lines += [
                f"{indent}{key}",
                *(f"{indent}  {v}" for v in value),
            ]  # sentences, such as a model's limits
        else:
            lines.append(f"{indent}{key:<{max(1, 24 - len(indent))}} {_short(value)}")
    return lines


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        text = ", ".join(_short(v) for v in value)
        return text if len(text) <= 80 else f"{len(value)} values: {text[:60]}…"
    return str(value)


_KINDS: dict[str, Callable[[Path], str]] = {
    "demo.yaml": _yaml("demo", "demo.yaml"),
    "pairs.csv": _cohort,
    "audit.yaml": _audit,
    "sweep.yaml": _sweep,
    "recipe.yaml": _run,
    "model.yaml": _yaml("model", "model.yaml"),
    "recogniser.yaml": _yaml("recogniser", "recogniser.yaml"),
    "restored.yaml": _yaml("restored images", "restored.yaml"),
    "summary.json": _evaluation,
    "report.yaml": _yaml("report", "report.yaml"),
    "explain.yaml": _yaml("figures of taskgan explain", "explain.yaml"),
}
