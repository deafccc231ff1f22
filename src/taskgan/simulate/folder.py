"""What all simulations do alike: a folder that is begun, filled by several processes and gone on with."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from taskgan import __version__
from taskgan.cohort import bids
from taskgan.cohort.begun import is_complete
from taskgan.cohort.description import write_description
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import versions
from taskgan.core.parse import parse_json, read_text
from taskgan.core.settings import Settings
from taskgan.simulate.anatomy import Anatomy, mni_anatomy
from taskgan.simulate.workers import Record, SubjectSimulator, default_workers, simulate_subjects

TRUTH_FOLDER = Path("derivatives") / "truth"


def record_path(subject: str) -> Path:
    """The subject's figures; written last, so it marks the subject as complete."""
    return TRUTH_FOLDER / subject / f"{subject}_desc-truth_figures.json"


def describe_cohort(
    kind: str, settings: Any, sources: Sequence[Path], further: Mapping[str, Any], **device: Settings
) -> dict[str, Any]:
    """What ``cohort.yaml`` says of a simulated cohort before it is measured.

    Args:
        kind: ``pet`` or ``mr``.
        settings: Of the simulation.
        sources: BrainWeb files.
        further: What only this kind says.
        device: Its section about the scanner.
    """
    values = settings.model_dump(mode="json")
    # Anatomies go by file name: the folder that they lie in makes no difference to the cohort.
    values["anatomy"] = [path.name for path in sources] or None
    anatomies = "BrainWeb heads, each of them in one split only, deformed per subject"
    if settings.one_template:
        anatomies = (
            f"one template ({sources[0].name if sources else 'MNI ICBM152 2009a'}) deformed per subject; "
            "the anatomy of a subject is its own deformation"
        )
    return {
        "kind": kind,
        "made_by": f"taskgan simulate {kind}",
        "seed": settings.seed,
        "anatomies": anatomies,
        **further,
        "settings": values,
        **{name: section.model_dump(mode="json") for name, section in device.items()},
        "versions": versions(),
    }


def simulate_missing(
    out: Path,
    subjects: Sequence[Any],
    simulator: Callable[..., SubjectSimulator],
    settings: Any,
    sources: Sequence[Path],
    *,
    description: Mapping[str, Any],
    sections: tuple[str, str],
    dataset_files: Mapping[str, str],
    workers: int,
    max_workers: int | None = None,
    detailed: bool = False,
) -> list[Record] | None:
    """Make the subjects that are not there.

    Args:
        out: The cohort folder.
        subjects: All of the plan.
        simulator: Makes a worker's bench from the settings, the sources, the template, its resolution and ``out``.
        settings: Of the simulation.
        sources: BrainWeb files; empty takes the MNI template.
        description: Of the cohort, see :func:`describe_cohort`.
        sections: Its sections that must be those that the folder was begun with.
        dataset_files: See :func:`write_dataset_files`.
        workers: Processes; 0 takes every core, at most ``most``.
        max_workers: See ``workers``.
        detailed: Tissues of ``anatomy.DETAILED``.

    Returns:
        The records of all subjects in order; None where the cohort is complete already.

    Raises:
        UserError: If ``out`` holds something else or was begun with other settings.
    """
    if is_complete(out, description, sections):
        say(f"{out} is complete: {len(subjects)} subjects; nothing to do")
        return None
    write_description(out, {**description, "complete": False})
    write_dataset_files(out, **dataset_files)
    waiting = [s for s in subjects if not (out / record_path(s.name)).is_file()]
    count = min(workers or default_workers(max_workers), max(1, len(waiting)))
    step = 1.0 if settings.scale == "full" else 2.0
    template: Anatomy | None = mni_anatomy(step, detailed=detailed) if waiting and not sources else None
    with progress("simulate", len(subjects), "subjects", start=len(subjects) - len(waiting)) as bar:
        for record in simulate_subjects(
            waiting, simulator, (settings, tuple(sources), template, step, out), count, out
        ):
            bar.advance(subject=record["subject"])
    return [read_record(out / record_path(s.name)) for s in subjects]


def read_record(path: Path) -> dict[str, Any]:
    """What was written of a subject.

    Raises:
        UserError: If it is missing or damaged.
    """
    record = parse_json(read_text(path), str(path))
    if not isinstance(record, dict):
        raise UserError(f"{path} holds a {type(record).__name__}, expected the record of a subject")
    return record


def write_dataset_files(folder: Path, *, name: str, truth: str, command: str, readme: str) -> None:
    """The files of the folder that do not depend on the subjects.

    Args:
        folder: The cohort.
        name: Of the data set.
        truth: Name of the truth that goes with it.
        command: Which made it, e.g. ``simulate pet``.
        readme: Text of its README, with a place for the ``version``.
    """
    bids.write_dataset_files(
        folder,
        name=name,
        readme=readme.format(version=__version__),
        derivative=TRUTH_FOLDER,
        derivative_name=truth,
        metadata={"License": "CC0", "Authors": ["taskgan", command]},
    )
