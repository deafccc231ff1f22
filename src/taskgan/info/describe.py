"""Which kind of folder it is, and its summary, short or whole."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.core.artefact import verify
from taskgan.core.console import duration, say
from taskgan.core.errors import Problems, UserError
from taskgan.images.dicom.frames import has_dicom
from taskgan.info.cohort import COHORT, SERIES
from taskgan.info.folders import EVALUATION, MODEL, RECOGNISER, RESTORED, RUN, SWEEP
from taskgan.info.lines import (
    FolderKind,
    entry_lines,
    figures_text,
    interval_text,
    lookup,
    nested_lines,
    next_step,
    number_text,
    sentence_lines,
    taskgan_command,
    yaml_reader,
)


def _screen_report(folder: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [f"report {folder}"]
    lines += entry_lines("compared", str(record.get("compared", "")).removeprefix("Compared: "))
    lines += entry_lines("result", str(record.get("headline", "")))
    lines += sentence_lines("findings", record.get("findings"), most=8)
    lines += sentence_lines("warnings", record.get("warnings"), most=5)
    return lines + next_step(f"open {folder / 'report.html'}")


def _screen_audit(folder: Path, record: Mapping[str, Any]) -> list[str]:
    method = record.get("method")
    lines = [f"audit {folder}: {method}, {record.get('subjects')} subjects, {record.get('cases')} cases"]
    lines += entry_lines("result", str(record.get("headline", "")))
    opinions = record.get("opinions")
    for judge, images in opinions.items() if isinstance(opinions, Mapping) else ():
        own = lookup(images, str(method))
        if isinstance(own, Mapping):
            fit = "" if lookup(record, "fit", judge) else " (no judge: see warnings)"
            rate = interval_text(own.get("flips"), 3)
            lines += entry_lines(str(judge), f"{own.get('flipped')} of {own.get('subjects')} flipped, rate {rate}{fit}")
    lines += sentence_lines("findings", record.get("findings"), most=7)
    lines += sentence_lines("warnings", record.get("warnings"), most=5)
    return lines + next_step(f"open {folder / 'audit.html'}")


def _screen_demo(folder: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [f"demo {folder}: {record.get('command', 'taskgan demo')}, {record.get('device', 'device unknown')}"]
    lines += entry_lines("cohort", figures_text(record.get("cohort")))
    readers = record.get("readers")
    for name, details in readers.items() if isinstance(readers, Mapping) else ():
        clean = lookup(details, "on_clean")
        wrong = f"wrong on {lookup(clean, 'wrong')} of {lookup(clean, 'decisions')} clean test images"
        lines += entry_lines(str(name), f"{lookup(details, 'network')}, {wrong}")
    training = record.get("training")
    for name, details in training.items() if isinstance(training, Mapping) else ():
        best = number_text(lookup(details, "best"), 2)
        lines += entry_lines(str(name), f"best validation {best} at step {lookup(details, 'best_step')}")
    seconds = record.get("seconds")
    if isinstance(seconds, Mapping):
        spent = [float(value) for value in seconds.values() if isinstance(value, int | float)]
        lines += entry_lines("took", duration(sum(spent)))
    page = folder / "report" / "report.html"
    again = str(record.get("command", "taskgan demo"))
    return lines + next_step(f"open {page}" if page.is_file() else f"{again} makes it and its report")


def _screen_limit(folder: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [f"limit {folder}: {record.get('subjects')} test subjects of {record.get('cohort')}"]
    lines += entry_lines(str(record.get("reader")), str(record.get("sentence")))
    return lines + next_step(taskgan_command("compare", "EVALUATIONS", "--limit", folder, "-o", "REPORT"))


def _screen_export(folder: Path, record: Mapping[str, Any]) -> list[str]:
    lines = [f"exported model {folder}: {record.get('model')} for {record.get('format')}"]
    lines += entry_lines("input", str(lookup(record, "processing", "input") or ""))
    lines += entry_lines("off by", f"at most {record.get('largest_error')} of the range, held against torch")
    return lines + next_step(f"read {folder / 'README.md'}: what goes before and after the graph")


LIMIT = FolderKind("limit", "limit.yaml", yaml_reader("limit.yaml"), _screen_limit)
EXPORT = FolderKind("exported model", "export.yaml", yaml_reader("export.yaml"), _screen_export)
DEMO = FolderKind("demo", "demo.yaml", yaml_reader("demo.yaml"), _screen_demo)
AUDIT = FolderKind("audit", "audit.yaml", yaml_reader("audit.yaml"), _screen_audit)
REPORT = FolderKind("report", "report.yaml", yaml_reader("report.yaml"), _screen_report)


# The first whose marker is there counts: a demo holds a cohort, a sweep and a restored folder a recipe.
KINDS = (
    DEMO, COHORT, AUDIT, SWEEP, RUN, MODEL, RECOGNISER, RESTORED, EVALUATION, REPORT, LIMIT, EXPORT
)  # fmt: skip


def describe(path: Path, *, everything: bool = False) -> str:
    """A screenful about a folder that taskgan made, or of DICOM: what it is, its main figures, what to do next.

    Args:
        path: The folder, or the file that makes it one (``pairs.csv``, ``model.yaml``), or a DICOM file.
        everything: All that is recorded in it instead.

    Raises:
        UserError: If it does not exist or is nothing of ours.
    """
    kind, where = _find(path)
    record = kind.read_record(where)
    if everything:
        return "\n".join([f"{kind.name} {where}", *nested_lines(record, "  ")])
    return "\n".join(kind.summarise(where, record))


def as_json(path: Path) -> str:
    """All that is recorded in a folder, its kind under ``info``, as JSON; errors are those of :func:`describe`.

    Unknown numbers are null.
    """
    kind, where = _find(path)
    whole = {"info": {"kind": kind.name, "place": str(where)}, **kind.read_record(where)}
    return json.dumps(_plain(whole), indent=2, ensure_ascii=False, allow_nan=False, default=str)


def check(place: Path) -> None:
    """Compare every file that a marker in a folder vouches for with its checksum; changes nothing.

    Raises:
        Problems: Each file that is missing or was changed.
        UserError: If there is nothing to verify.
    """
    count, wrong = verify(place)
    if wrong:
        raise Problems(f"{place} is not what was written", wrong)
    say(f"{place}: every file is as it was written ({count} artefact{'s' * (count != 1)})")


def _find(path: Path) -> tuple[FolderKind, Path]:
    if not path.exists():
        raise UserError(f"{path} does not exist; expected a folder that taskgan made or a pairs.csv")
    folder = path if path.is_dir() else path.parent
    for kind in KINDS:
        if (folder / kind.marker).is_file() and (path.is_dir() or path.name == kind.marker):
            return kind, folder
    if path.is_file() and path.suffix == ".csv":  # a table may have another name
        return COHORT, path
    if any(has_dicom(one) for one in (path, *(below for below in folder.iterdir() if path.is_dir()))):
        return SERIES, path
    markers = ", ".join(kind.marker for kind in KINDS)
    raise UserError(f"{path} is nothing that taskgan made; expected one of {markers} in it")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(own) for key, own in value.items()}
    if isinstance(value, list):
        return [_plain(own) for own in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
