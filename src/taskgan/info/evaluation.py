"""An evaluation: image quality, readers and SUVR of the input and of what was restored from it."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.core.files import read_yaml
from taskgan.info.lines import (
    UNKNOWN,
    FolderKind,
    entry_lines,
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
)

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


def _read(folder: Path) -> dict[str, Any]:
    return {**read_optional_yaml(folder / "evaluation.yaml"), "summary": read_json_object(folder / "summary.json")}


def _screen(folder: Path, record: Mapping[str, Any]) -> list[str]:
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


EVALUATION = FolderKind("evaluation", "summary.json", _read, _screen)


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
