"""An evaluation: image quality, readers and SUVR of the input and of what was restored from it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.info.kind import Kind, from_json, if_there
from taskgan.info.lines import UNKNOWN, command, entry, interval, number, pick, sentences, step, table

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
    return {**if_there(folder / "evaluation.yaml"), "summary": from_json(folder / "summary.json")}


def _screen(folder: Path, record: Mapping[str, Any]) -> list[str]:
    summary = record["summary"]
    own = [name for name in summary if name not in ("input", "clean")]
    method = str(record.get("method") or (own[0] if own else "unknown"))
    mine, before, clean = summary.get(method), summary.get("input"), summary.get("clean")
    cases, subjects = pick(mine, "cases"), pick(mine, "subjects")
    seed = f", seed {record['seed']}" if record.get("seed") is not None else ""
    lines = [f"evaluation {folder}: {method}{seed}, {cases} cases of {subjects} subjects"]
    for key in ("restored", "cohort"):  # recorded as seen from the evaluation
        lines += entry(key, os.path.normpath(folder / str(record[key])) if record.get(key) else "")
    shown = {"input": before, method: mine} if before else {method: mine}
    rows = [["", *shown]]
    for key, name, digits in _QUALITY:
        both = [interval(pick(one, "quality", key), digits) for one in shown.values()]
        rows += [[name, *both]] if any(cell != UNKNOWN for cell in both) else []
    rows += [
        [name, *both]
        for name, key, digits, sign in (
            ("SUVR − clean", "bias", 3, True),
            ("SUVR slope", "slope", 2, False),
            ("SUVR concordance", "concordance", 3, False),
        )
        if (both := [interval(pick(one, "suvr", key), digits, sign=sign) for one in shown.values()])
        != [UNKNOWN] * len(shown)
    ]
    lines += [*table(rows), ""]
    lines += _readers(record, {"clean": clean, **shown})
    lines += _verification({"clean": clean, **shown})
    lines += (each := _conditions(mine))
    lines += ["  95 % intervals by subject; flips: subjects decided otherwise than on the clean image"]
    lines += sentences("notes", record.get("notes"), most=2 if each else 5)
    return lines + step(command("compare", folder, "OTHER_EVALUATION", "-o", "REPORT"))


def _readers(record: Mapping[str, Any], shown: Mapping[str, Any]) -> list[str]:
    """Each reader on clean, input and restored images: how often it is wrong, and how far off it is."""
    measure = pick(record, "property", "measure")
    name = str(measure[0]) if isinstance(measure, list) and measure else "slice error"
    rows = [["reader", *shown, "flips"]]
    for key, title in _READERS:
        found = [pick(one, "readers", key) for one in shown.values()]
        if pick(found[-1], "decisions"):
            flips = " → ".join(str(pick(one, "flipped")) for one in found[1:])
            rows.append([f"{title}, wrong", *map(_wrong, found), flips])
        far = [interval(pick(one, "mae"), 3) for one in found]
        if any(cell != UNKNOWN for cell in far):
            rows.append([f"{title}, {name}", *far, ""])
    return table(rows) if len(rows) > 1 else []


def _verification(shown: Mapping[str, Any]) -> list[str]:
    """How well each reader tells on clean, input and restored images whether two are of one person."""
    found = [pick(one, "verification") for one in shown.values()]
    mine = found[-1]
    if not isinstance(mine, Mapping) or not mine:
        return []
    titles = {key: title for key, title in _READERS if key != "suvr"}
    counted = next(iter(mine.values()))
    rows = [[f"AUC of {pick(counted, 'pairs')} pairs of {pick(counted, 'people')} people", *shown]]
    for key in mine:
        areas = [interval(pick(one, key, "auc_by_person"), 3) for one in found]
        rows.append([titles.get(str(key), str(key)), *areas])
    return ["", *table(rows)]


def _conditions(mine: Any) -> list[str]:
    """A line for each condition, such as an MR contrast, with what is known of all of them."""
    found = pick(mine, "conditions")
    if not isinstance(found, Mapping) or not found:
        return []
    known = [
        (path, name, digits)
        for path, name, digits in _BY_CONDITION
        if any(isinstance(pick(one, *path, "estimate"), int | float) for one in found.values())
    ]
    rows = [["", *(name for _, name, _ in known), "judge, wrong"]]
    for condition, one in found.items():
        means = (number(pick(one, *path, "estimate"), digits) for path, _, digits in known)
        wrong, decisions = (pick(one, "readers", "judge", key) for key in ("wrong", "decisions"))
        rows.append([str(condition), *means, f"{wrong} of {decisions}" if decisions else UNKNOWN])
    return ["", *table(rows)]


def _wrong(reading: Any) -> str:
    if not isinstance(reading, Mapping):
        return UNKNOWN
    high = pick(reading, "error", "high")
    upper = f" (up to {number(100 * high, 0)} %)" if isinstance(high, int | float) else ""
    return f"{reading.get('wrong')} of {reading.get('decisions')}{upper}"


EVALUATION = Kind("evaluation", "summary.json", _read, _screen)
