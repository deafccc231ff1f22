"""``taskgan simulate mr``: subjects on every core, a cohort folder at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.folder import write_participants
from taskgan.cohort.pairs import write_pairs
from taskgan.core.files import PathLike
from taskgan.physics import sequences
from taskgan.physics.sequences import Mdme, input_path, target_path
from taskgan.simulate.mr.bids import MASKS, PARTICIPANTS, TOP, truth_path
from taskgan.simulate.mr.settings import KINDS, MrSimulation, plan_subjects
from taskgan.simulate.mr.subject import make_subject
from taskgan.simulate.workers import CohortKind, Record, simulate_cohort


def simulate_mr(out: PathLike, settings: MrSimulation | None = None, *, workers: int = 0) -> Path:
    """Make a cohort, see :func:`~taskgan.simulate.workers.simulate_cohort`."""
    kind = CohortKind(
        name="mr",
        plan=plan_subjects,
        make=make_subject,
        dataset_files=TOP,
        write_tables=_write_tables,
        measure=_cohort_metrics,
        sentence=lambda wanted, records: (
            f"{sum(r['kind'] != 'control' for r in records)} of them patients, {len(wanted.targets)} contrasts each "
            f"(taskgan info {out})"
        ),
        further=lambda wanted: {
            "inputs": list(input_columns(wanted.mdme)),
            "contrasts": {str(_label(target.name)): target.name for target in wanted.targets},
        },
        device="geometry",
        detailed=True,
    )
    return simulate_cohort(Path(out), settings or MrSimulation(), kind, workers=workers)


def input_columns(protocol: Mdme) -> dict[str, tuple[int, int, str]]:
    """Columns of a protocol's images, see :func:`taskgan.physics.sequences.input_columns`."""
    return sequences.input_columns(len(protocol.delays), len(protocol.echoes))


def _label(contrast: str) -> int:
    """A contrast's class: its place among all six, also where a cohort has fewer."""
    return sequences.CONTRASTS.index(contrast)


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
        truth = {sequences.mask_column(mask): truth_path(name, mask).as_posix() for mask in MASKS}
        for target in settings.targets:
            rows.append(
                {
                    "case": sequences.case_name(name, target.name),
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


def _cohort_metrics(settings: MrSimulation, records: Sequence[Record]) -> dict[str, Any]:
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
