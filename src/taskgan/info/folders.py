"""What taskgan made of a cohort: runs, models, recognisers, restored images, evaluations and sweeps."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.core.tables import csv_rows
from taskgan.info.lines import (
    UNKNOWN,
    FolderKind,
    entry_lines,
    figures_text,
    interval_text,
    lookup,
    next_step,
    number_text,
    read_json_object,
    read_optional_yaml,
    sentence_lines,
    short_text,
    table_lines,
    taskgan_command,
    yaml_reader,
)


def _read(folder: Path) -> dict[str, Any]:
    return {
        "recipe": read_yaml(folder / "recipe.yaml"),
        "last": _last_row(folder / "metrics.csv"),
        "run": read_optional_yaml(folder / "run.yaml"),
        "outcome": read_optional_yaml(folder / "outcome.yaml"),
    }


def _screen(folder: Path, record: Mapping[str, Any]) -> list[str]:
    recipe, run, last = record["recipe"], record["run"], dict(record["last"])
    done, steps = last.pop("step", 0), lookup(recipe, "optimiser", "steps") or "?"
    status = lookup(record, "outcome", "status") or run.get("status", "not begun")
    lines = [f"run {folder}: objective {recipe.get('objective')}, seed {recipe.get('seed')}, {status}"]
    lines += entry_lines("failed", lookup(record, "outcome", "message") or "")
    if recipe.get("objective") != "recogniser":
        lines += entry_lines("step", f"{done} of {steps}{_best_text(recipe, run)}")
    subjects = lookup(run, "cohort", "subjects")
    if isinstance(subjects, Mapping):
        who = f"{subjects.get('train')} training and {subjects.get('val')} validation subjects"
        lines += entry_lines("cohort", f"{lookup(run, 'cohort', 'name')}: {who}")
    validated = {k.removeprefix("val_"): short_text(v) for k, v in last.items() if k.startswith("val_")}
    losses = {k: short_text(v) for k, v in last.items() if not k.startswith("val_")}
    lines += entry_lines("last losses", figures_text(losses))
    lines += entry_lines("validation", figures_text(validated))
    device = run.get("device")
    lines += entry_lines("device", f"{device}; {figures_text(run.get('machine'))}" if device else "")
    model = folder / "model"
    if run.get("status") == "complete" and recipe.get("objective") == "recogniser":
        lines += entry_lines("made by", str(run.get("command", "")))
        for name, metrics in run.get("result", {}).items():
            lines += entry_lines(name, f"{metrics.get('network')}, {_reader_text(metrics)}")
        return lines + next_step(taskgan_command("train", "RECIPE", "COHORT", "RUN"))
    if run.get("status") == "complete":
        lines += entry_lines("made by", str(run.get("command", "")))
        lines += entry_lines("model", taskgan_command("info", model))
        cohort = ("COHORT/pairs.csv", "--split", "test")
        return lines + next_step(taskgan_command("restore", model, *cohort, "-o", "RESTORED"))
    again = run.get("command") or taskgan_command("train", folder / "recipe.yaml", "COHORT", folder)
    return lines + next_step(f"{again} (goes on where it was)")


def _reader_text(metrics: Mapping[str, Any]) -> str:
    """How well a reader that was trained alone reads clean images."""
    area = lookup(metrics, "clean_test_pairs", "auc_by_person")
    if isinstance(area, Mapping):
        values = (number_text(area[key], 3) for key in ("estimate", "low", "high"))
        return "AUC {} ({} to {}) on clean test pairs".format(*values)
    area = lookup(metrics, "validation", "auc")
    error = lookup(metrics, "validation", "slice_mae")
    text = f"AUC {number_text(area, 3)}" if isinstance(area, float) else f"MAE {number_text(error, 3)}"
    return f"{text} on validation subjects"


def _best_text(recipe: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    best, at = lookup(run, "result", "best"), lookup(run, "result", "best_step")
    if not isinstance(best, int | float):
        return ""
    by_psnr = lookup(recipe, "validation", "metric") in (None, "psnr")
    value = f"PSNR {number_text(best, 2)} dB" if by_psnr else f"objective {number_text(-best, 4)}"
    return f", best validation {value} at step {at}"


def _last_row(path: Path) -> dict[str, float | int | str]:
    """The last value of every curve; validation is not looked at in every row."""
    if not path.is_file():
        return {}
    last: dict[str, float | int | str] = {}
    try:
        rows = csv_rows(path, empty=True)
    except UserError:  # what else is in the folder is worth a screen
        return {}
    for _, row in rows:
        last |= {key: _value(text) for key, text in row.items() if key and isinstance(text, str) and text}
    return last


def _value(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _screen_restored(folder: Path, record: Mapping[str, Any]) -> list[str]:
    status = record.get("status", "no status")
    lines = [f"restored images {folder}: {record.get('images')} images by {record.get('method')}, {status}"]
    model = ", ".join(f"{key} {record[key]}" for key in ("model", "step", "seed", "fold") if key in record)
    lines += entry_lines("made by", model)
    lines += entry_lines("settings", figures_text(record.get("settings")))
    lines += entry_lines("property", _property_text(lookup(record, "recipe", "task")))
    lines += entry_lines("taskgan", str(lookup(record, "versions", "taskgan") or ""))
    return lines + next_step(taskgan_command("evaluate", folder, "COHORT", "-o", "EVALUATION"))


def _property_text(task: Any) -> str:
    """One property, or all of a list, the first one first."""
    listed = [one for one in (task if isinstance(task, list) else [task]) if isinstance(one, Mapping)]
    texts = []
    for one in listed:
        columns = f"column {', '.join(map(str, one.get('labels') or ['label']))}"
        named = f"{one['name']}, " if one.get("name") and len(listed) > 1 else ""
        texts.append(f"{one.get('kind')} ({named}{columns})" if one.get("kind") else "")
    return "; ".join(filter(None, texts))


RUN = FolderKind("run", "recipe.yaml", _read, _screen)
RESTORED = FolderKind("restored images", "restored.yaml", yaml_reader("restored.yaml"), _screen_restored)


def _screen_model(folder: Path, record: Mapping[str, Any]) -> list[str]:
    marks = ", ".join(f"{key} {record[key]}" for key in ("objective", "seed", "fold", "step") if key in record)
    lines = [f"model {folder}: {record.get('name', 'without a name')} ({marks})"]
    lines += entry_lines("trained on", _training_text(record.get("seen") or record.get("cohort")))
    started, intensity = record.get("started_from"), lookup(record, "data", "intensity")
    lines += entry_lines("started from", figures_text(started) if isinstance(started, Mapping) else "")
    lines += entry_lines("property", _property_text(record.get("task")))
    inputs = lookup(record, "data", "inputs")
    lines += entry_lines("inputs", ", ".join(map(str, inputs)) if isinstance(inputs, list) else "")
    lines += entry_lines("intensity", figures_text(intensity))
    lines += entry_lines("generator", _generator(record))
    lines += entry_lines("measured", figures_text(record.get("measured")))
    lines += entry_lines("SUVR line", figures_text(record.get("calibration")))
    lines += entry_lines("use", str(record.get("intended_use", "")))
    lines += sentence_lines("limits", record.get("limits"), most=20)  # a limit that is not shown is none
    return lines + next_step(taskgan_command("restore", folder, "IMAGES", "-o", "OUT"))


def _generator(record: Mapping[str, Any]) -> str:
    own = record.get("custom")
    return f"{own}, the user's own (restore from Python)" if own else figures_text(record.get("generator"))


def _training_text(training: Any) -> str:
    if not isinstance(training, Mapping):
        return ""
    parts = [f"{training.get('cohort', 'a cohort')}: {training.get('subjects')} subjects"]
    for key, what, unit in (("voxel_size", "voxels", " mm"), ("plane", "slices", ""), ("scale", "scale", "")):
        reach = training.get(key)
        if isinstance(reach, list) and reach:
            axes = reach if all(isinstance(axis, list) for axis in reach) else [reach]
            parts.append(f"{what} {' × '.join(map(_range_text, axes))}{unit}")
    return ", ".join(parts)


def _range_text(ends: list[Any]) -> str:
    low, high = short_text(ends[0]), short_text(ends[-1])
    return low if low == high else f"{low} to {high}"


def _screen_recogniser(folder: Path, record: Mapping[str, Any]) -> list[str]:
    network, seed = (lookup(record, "settings", key) for key in ("network", "seed"))
    lines = [f"recogniser {folder}: {record.get('title')}, {network} with seed {seed}"]
    lines += entry_lines("property", _property_text(record.get("target")))
    train, val = (record.get(f"{name}_subjects") for name in ("training", "validation"))
    if isinstance(train, list) and isinstance(val, list):
        who = f"{len(train)} subjects, stopped by {len(val)} others at step {record.get('step')}"
        lines += entry_lines("trained on", who)
    measured = {k: v for k, v in (record.get("validation") or {}).items() if k != "outputs"}
    lines += entry_lines("validation", figures_text(measured))
    return lines + next_step(taskgan_command("audit", "RESTORED", "COHORT", "--judge", folder, "-o", "AUDIT"))


MODEL = FolderKind("model", "model.yaml", yaml_reader("model.yaml"), _screen_model)
RECOGNISER = FolderKind("recogniser", "recogniser.yaml", yaml_reader("recogniser.yaml"), _screen_recogniser)


_QUALITY = (("psnr", "PSNR (dB)", 2), ("ssim", "SSIM", 3), ("rmse_relative", "relative RMSE", 3))
_BY_CONDITION = (
    (("quality", "psnr_head"), "PSNR head", 2),
    (("quality", "ssim_head"), "SSIM head", 3),
    (("observed", "lesion_white_error"), "lesion error", 3),
    (("observed", "lesions_false"), "false lesions", 2),
    (("observed", "rim_error"), "rim error", 3),
    (("observed", "checkerboard_error"), "grid error", 4),
)
_READERS = (("judge", "judge"), ("task", "T"), ("suvr", "SUVR"))


def _read_evaluation(folder: Path) -> dict[str, Any]:
    return {**read_optional_yaml(folder / "evaluation.yaml"), "summary": read_json_object(folder / "summary.json")}


def _screen_evaluation(folder: Path, record: Mapping[str, Any]) -> list[str]:
    summary = record["summary"]
    own = [name for name in summary if name not in ("input", "clean")]
    method = str(record.get("method") or (own[0] if own else "unknown"))
    mine, before, clean = summary.get(method), summary.get("input"), summary.get("clean")
    cases, subjects = lookup(mine, "cases"), lookup(mine, "subjects")
    seed = f", seed {record['seed']}" if record.get("seed") is not None else ""
    lines = [f"evaluation {folder}: {method}{seed}, {cases} cases of {subjects} subjects"]
    for key in ("restored", "cohort"):  # recorded as seen from the evaluation
        lines += entry_lines(key, os.path.normpath(folder / str(record[key])) if record.get(key) else "")
    columns = {"input": before, method: mine} if before else {method: mine}
    rows = [["", *columns]]
    for key, name, digits in _QUALITY:
        both = [interval_text(lookup(one, "quality", key), digits) for one in columns.values()]
        rows += [[name, *both]] if any(cell != UNKNOWN for cell in both) else []
    rows += [
        [name, *both]
        for name, path, digits, sign in (
            ("SUVR − clean", ("suvr", "bias"), 3, True),
            ("SUVR slope", ("suvr", "slope"), 2, False),
            ("SUVR concordance", ("suvr", "concordance"), 3, False),
            ("after its line: SUVR − clean", ("calibrated", "suvr", "bias"), 3, True),
            ("after its line: slope", ("calibrated", "suvr", "slope"), 2, False),
        )
        if (both := [interval_text(lookup(one, *path), digits, sign=sign) for one in columns.values()])
        != [UNKNOWN] * len(columns)
    ]
    lines += [*table_lines(rows), ""]
    lines += _readers(record, {"clean": clean, **columns})
    lines += _verification({"clean": clean, **columns})
    lines += (each := _conditions(mine))
    lines += ["  95 % intervals by subject; flips: subjects decided otherwise than on the clean image"]
    lines += sentence_lines("notes", record.get("notes"), most=2 if each else 5)
    return lines + next_step(taskgan_command("compare", folder, "OTHER_EVALUATION", "-o", "REPORT"))


def _readers(record: Mapping[str, Any], columns: Mapping[str, Any]) -> list[str]:
    """Each reader on clean, input and restored images: how often it is wrong, and how far off it is."""
    measure = lookup(record, "property", "measure")
    name = str(measure[0]) if isinstance(measure, list) and measure else "slice error"
    rows = [["reader", *columns, "flips"]]
    for key, title in _READERS:
        readings = [lookup(one, "readers", key) for one in columns.values()]
        if lookup(readings[-1], "decisions"):
            flips = " → ".join(str(lookup(one, "flipped")) for one in readings[1:])
            rows.append([f"{title}, wrong", *map(_wrong, readings), flips])
        far = [interval_text(lookup(one, "mae"), 3) for one in readings]
        if any(cell != UNKNOWN for cell in far):
            rows.append([f"{title}, {name}", *far, ""])
    return table_lines(rows) if len(rows) > 1 else []


def _verification(columns: Mapping[str, Any]) -> list[str]:
    """How well each reader tells on clean, input and restored images whether two are of one person."""
    results = [lookup(one, "verification") for one in columns.values()]
    mine = results[-1]
    if not isinstance(mine, Mapping) or not mine:
        return []
    titles = {key: title for key, title in _READERS if key != "suvr"}
    counted = next(iter(mine.values()))
    rows = [[f"AUC of {lookup(counted, 'pairs')} pairs of {lookup(counted, 'people')} people", *columns]]
    for key in mine:
        areas = [interval_text(lookup(one, key, "auc_by_person"), 3) for one in results]
        rows.append([titles.get(str(key), str(key)), *areas])
    return ["", *table_lines(rows)]


def _conditions(mine: Any) -> list[str]:
    """A line for each condition, such as an MR contrast, with what is known of all of them."""
    conditions = lookup(mine, "conditions")
    if not isinstance(conditions, Mapping) or not conditions:
        return []
    known = [
        (path, name, digits)
        for path, name, digits in _BY_CONDITION
        if any(isinstance(lookup(one, *path, "estimate"), int | float) for one in conditions.values())
    ]
    rows = [["", *(name for _, name, _ in known), "judge, wrong"]]
    for condition, one in conditions.items():
        means = (number_text(lookup(one, *path, "estimate"), digits) for path, _, digits in known)
        wrong, decisions = (lookup(one, "readers", "judge", key) for key in ("wrong", "decisions"))
        rows.append([str(condition), *means, f"{wrong} of {decisions}" if decisions else UNKNOWN])
    return ["", *table_lines(rows)]


def _wrong(reading: Any) -> str:
    if not isinstance(reading, Mapping):
        return UNKNOWN
    high = lookup(reading, "error", "high")
    upper = f" (up to {number_text(100 * high, 0)} %)" if isinstance(high, int | float) else ""
    return f"{reading.get('wrong')} of {reading.get('decisions')}{upper}"


EVALUATION = FolderKind("evaluation", "summary.json", _read_evaluation, _screen_evaluation)


_MOST = 8


def _read_sweep(folder: Path) -> dict[str, Any]:
    ends = {path.parent.name: read_optional_yaml(path) for path in sorted((folder / "runs").glob("*/outcome.yaml"))}
    begun = [path.parent.name for path in sorted((folder / "runs").glob("*/recipe.yaml"))]
    return {**read_yaml(folder / "sweep.yaml"), "begun": begun, "outcomes": ends}


def _screen_sweep(folder: Path, record: Mapping[str, Any]) -> list[str]:
    ends = record["outcomes"]
    counts = Counter(str(end.get("status")) for end in ends.values())
    lines = [f"sweep {folder}: recipe {record.get('recipe')}, {record.get('status')}"]
    ended = ", ".join(f"{n} {status}" for status, n in counts.items())
    lines += entry_lines("runs", f"{len(record['begun'])} begun, {ended or 'none ended'}")
    grid = record.get("grid")
    if isinstance(grid, Mapping):
        lines += entry_lines("grid", "; ".join(f"{key} {_values(own)}" for key, own in grid.items()))
    lines += entry_lines("rule", str(record.get("rule") or ""))
    lines += entry_lines("chosen", str(lookup(record, "chosen", "setting") or ""))
    ties = record.get("ties")
    lines += entry_lines("no different", "; ".join(map(str, ties[:_MOST])) if isinstance(ties, list) else "")
    settings = record.get("settings")
    lines += _settings(settings if isinstance(settings, list) else [], lookup(record, "chosen", "setting"))
    failed = [f"{name}: {end['message']}" for name, end in ends.items() if end.get("message")]
    lines += sentence_lines("failed (--retry makes them once more)", failed, most=5)
    chosen = lookup(record, "chosen", "command")
    return lines + next_step(str(chosen) if chosen else "the same taskgan sweep command goes on where it was")


def _settings(settings: list[Any], chosen: Any) -> list[str]:
    """The chosen setting first, then the others in the order of their values."""
    known = [one for one in settings if isinstance(one, Mapping)]
    rows = [["", "PSNR (dB)", "judge MAE", "|SUVR error|"]]
    for one in sorted(known, key=lambda one: one.get("setting") != chosen)[:_MOST]:
        cells = [interval_text(one.get(name), n) for name, n in (("psnr", 2), ("judge_mae", 3), ("suvr_error", 3))]
        if all(cell == UNKNOWN for cell in cells):
            cells = [str(one.get("status")), "", ""]
        rows.append([f"{'*' if one.get('setting') == chosen else ' '} {one.get('setting')}", *cells])
    more = [f"    and {len(known) - _MOST} more in sweep.csv"] if len(known) > _MOST else []
    return [*table_lines(rows), *more] if known else []


def _values(values: Any) -> str:
    return ", ".join(short_text(own) for own in values) if isinstance(values, list) else short_text(values)


SWEEP = FolderKind("sweep", "sweep.yaml", _read_sweep, _screen_sweep)
