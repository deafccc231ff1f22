"""``taskgan simulate mr``: subjects on every core, a cohort folder at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.folder import complete, write_participants
from taskgan.cohort.pairs import write_pairs
from taskgan.core.console import say
from taskgan.core.files import PathLike
from taskgan.core.lock import exclusive
from taskgan.core.parts import Part
from taskgan.physics import mdme
from taskgan.physics.mdme import input_path, target_path
from taskgan.physics.sequences import Mdme
from taskgan.simulate.anatomy import Anatomy, brainweb_files
from taskgan.simulate.mr.bids import MASKS, PARTICIPANTS, TOP, truth_path
from taskgan.simulate.mr.settings import KINDS, MrSimulation, MrSubject, plan_subjects
from taskgan.simulate.mr.subject import make_subject
from taskgan.simulate.workers import Anatomies, Record, describe_cohort, simulate_missing


@exclusive("out", "the cohort")
def simulate_mr(
    out: PathLike, settings: MrSimulation | None = None, *, workers: int = 0, part: Part | None = None
) -> Path:
    """Make a cohort, or go on with one that was interrupted.

    The same settings give the same bytes, whatever the number of workers: every subject has its own generators
    and every worker computes on one thread.

    Args:
        out: Cohort folder; absent, empty, or begun with the same settings.
        settings: What to simulate; None is the defaults.
        workers: Processes; 0 takes every core.
        part: Only these subjects, without tables and marker, which a last call without a part writes.

    Returns:
        The cohort folder.

    Raises:
        UserError: If ``out`` holds something else or was begun with other settings.
    """
    out, settings = Path(out), settings or MrSimulation()
    sources = brainweb_files(settings.anatomy) if settings.anatomy else []
    subjects = plan_subjects(settings, None if settings.one_template else len(sources))
    about = {
        "inputs": list(input_columns(settings.mdme)),
        "contrasts": {str(_label(target.name)): target.name for target in settings.targets},
    }
    description = describe_cohort("mr", settings, sources, about, geometry=settings.geometry)
    records = simulate_missing(
        out,
        subjects,
        _MrSimulator,
        settings,
        sources,
        description=description,
        sections=("settings", "geometry"),
        dataset_files=TOP,
        workers=workers,
        part=part,
        detailed=True,
    )
    if records is None:
        return out
    _write_tables(out, settings, records)
    complete(out, {**description, "measured": _cohort_metrics(records)})
    patients = sum(r["kind"] != "control" for r in records)
    say(
        f"{out}: {len(records)} subjects, {patients} of them patients, {len(settings.targets)} contrasts each "
        f"(taskgan info {out})"
    )
    return out


def input_columns(protocol: Mdme) -> dict[str, tuple[int, int, str]]:
    """Columns of a protocol's images, see :func:`taskgan.physics.mdme.input_columns`."""
    return mdme.input_columns(len(protocol.delays), len(protocol.echoes))


class _MrSimulator:
    """What a worker keeps between subjects: the anatomy used last."""

    def __init__(
        self, settings: MrSimulation, sources: tuple[Path, ...], template: Anatomy | None, step: float, out: Path
    ) -> None:
        self._settings, self._out = settings, out
        self._anatomies = Anatomies(sources, template, step, detailed=True)

    def simulate(self, subject: MrSubject) -> Record:
        """Write a subject's files and give its record."""
        return make_subject(subject, self._settings, self._anatomies[subject.anatomy], self._out)


def _label(contrast: str) -> int:
    """A contrast's class: its place among all six, also where a cohort has fewer."""
    return mdme.CONTRASTS.index(contrast)


def _write_tables(out: Path, settings: MrSimulation, records: Sequence[Record]) -> None:
    write_participants(out, PARTICIPANTS, [{"participant_id": r["subject"], **_subject_columns(r)} for r in records])
    columns = input_columns(settings.mdme)
    rows = []
    for r in records:
        name = r["subject"]
        inputs = {
            column: input_path(name, settings.mdme.delays[delay - 1], echo, part).as_posix()
            for column, (delay, echo, part) in columns.items()
        }
        degraded = inputs.pop("degraded")
        truth = {mdme.mask_column(mask): truth_path(name, mask).as_posix() for mask in MASKS}
        for target in settings.targets:
            rows.append(
                {
                    "case": mdme.case_name(name, target.name),
                    "subject": name,
                    "split": r["split"],
                    "contrast": target.name,
                    "degraded": degraded,
                    "clean": target_path(name, target.name).as_posix(),
                    "label": _label(target.name),
                    **inputs,
                    **truth,
                    **{key: value for key, value in _subject_columns(r).items() if key != "split"},
                }
            )
    write_pairs(out / "pairs.csv", rows)


def _subject_columns(record: Record) -> dict[str, object]:
    """What the tables say of a subject."""
    volume = record["volume_ml"]
    return {
        "patient": int(record["kind"] != "control"),
        "pathology": record["kind"],
        "lesion_count": record["lesion_count"],
        "lesion_ml": f"{volume['plaque'] + volume['tumour'] + volume['oedema']:.3f}",
        "tumour_ml": f"{volume['tumour']:.3f}",
        "anatomy": record["anatomy"],
        "split": record["split"],
    }


def _cohort_metrics(records: Sequence[Record]) -> dict[str, Any]:
    """What the cohort turned out to be."""
    with_lesions = [r for r in records if r["kind"] == "lesions"]
    measured: dict[str, Any] = {
        "subjects": len(records),
        **{kind: sum(r["kind"] == kind for r in records) for kind in KINDS},
        "negative_after_shortest_delay": round(
            float(np.mean([r["negative_after_shortest_delay"] for r in records])), 4
        ),
    }
    if with_lesions:
        measured["lesions_per_subject"] = round(float(np.mean([r["lesion_count"] for r in with_lesions])), 2)
        measured["lesion_ml_per_subject"] = round(float(np.mean([r["volume_ml"]["plaque"] for r in with_lesions])), 3)
    return measured
