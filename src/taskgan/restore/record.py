"""What a restoration leaves beside the images: sidecars, ``restored.csv`` and ``restored.yaml``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from taskgan.cohort.pairs import Pair, image_digests, subject_digests
from taskgan.cohort.slices import input_files
from taskgan.core.artefact import commit, differing, read_record
from taskgan.core.errors import UserError
from taskgan.core.files import (
    check_writable,
    checksum,
    folder_files,
    value_digest,
    versions,
    write_json,
    write_rows,
    write_yaml,
)
from taskgan.core.version import __version__
from taskgan.degrade.degradation import enlarged
from taskgan.images.photos import Photo, read_photo, with_luminance, write_photo
from taskgan.images.volumes import read_sidecar, sidecar
from taskgan.model.folder import ModelCard
from taskgan.model.restorer import Array, RestoredVolume
from taskgan.recipe import Data, Recipe, RecogniserSettings, Task
from taskgan.restore.inputs import Job
from taskgan.restore.refine import RestoreSettings


class AppliedSettings(Protocol):
    """How a method was applied: what decides a restored number, besides who restored."""

    @property
    def samples(self) -> int:
        """Draws of z; 0 is none."""

    def as_values(self) -> dict[str, Any]:
        """Plain values, as YAML and JSON give them back."""


@dataclass(frozen=True)
class Origin:
    """Who restored: the method's name in every table, and what people call it.

    Attributes:
        checksum: Of the weights, or of the method and its settings.
        data: Inputs and intensity transform that an evaluation takes.
        task: Settings by which an evaluation finds T, as ``judge`` the judge.
        seed: Training seed, or None where nothing is drawn; ``fold`` None where nothing is trained.
        step: Optimiser step of the weights.
        seen: Whom it learnt from: ``people`` and ``images`` as
            :class:`~taskgan.model.folder.TrainingDomain` has them, or ``subjects: 0``.
    """

    method: str
    name: str
    checksum: str
    data: Data
    task: Task
    judge: RecogniserSettings
    seed: int | None = None
    fold: int | None = None
    step: int = 0
    seen: Mapping[str, Any] = field(default_factory=lambda: {"subjects": 0})

    @classmethod
    def from_card(cls, card: ModelCard) -> "Origin":
        """A model by its card."""
        domain = card.seen
        return cls(
            method=card.objective,
            name=card.name,
            checksum=card.checksum,
            data=card.data.model_copy(update={"patch": None}),  # an evaluation has no generator to show blocks
            task=card.task,
            judge=card.judge,
            seed=card.seed,
            fold=card.fold,
            step=card.step,
            seen={"cohort": domain.cohort, "fingerprint": domain.fingerprint}
            | {"people": list(domain.people), "images": list(domain.images)},
        )

    @classmethod
    def without_weights(
        cls, method: str, settings: AppliedSettings, recipe: Recipe, data: Data, seen: Mapping[str, Any]
    ) -> "Origin":
        """A method whose settings are all there is; the recipe says how an evaluation reads its images."""
        key = {"method": method, "version": __version__, **settings.as_values()}
        return cls(method, method, value_digest(key, 64), data, recipe.task, recipe.judge, seen=seen)

    def as_values(self) -> dict[str, Any]:
        """What an audit and an evaluation want to know."""
        parts = {"data": self.data, "task": self.task, "judge": self.judge}
        recipe = {name: part.model_dump(mode="json") for name, part in parts.items()}
        return {"recipe": recipe, "seen": dict(self.seen)}


def seen_pairs(pairs: Collection[Pair]) -> dict[str, Any]:
    """Whom a method without weights learnt from, as ``Origin.seen`` has it."""
    people, images = list(subject_digests(pairs)), list(image_digests(pairs))
    return {"subjects": len({pair.subject for pair in pairs}), "people": people, "images": images}


RestorationProgress = Literal["new", "unfinished", "done"]
RECORD = "restored.yaml"
TABLE = "restored.csv"
INTENSITY_FACTOR = "IntensityFactor"
"""Sidecar field of a prepared image: what its values are multiplied with to be those that were exported."""
IMAGE_CHECKSUM = "ImageChecksum"
"""Sidecar field: SHA-256 of the image that it belongs to."""
SUVR_LINE = "composite SUVR, restored = intercept + slope × clean, on validation subjects"
SEQUENCE_FIELDS = (
    *("SequenceName", "ScanningSequence", "SequenceVariant", "RepetitionTime", "RepetitionTimeExcitation", "EchoTime"),
    *("InversionTime", "FlipAngle", "SaturationFlipAngle"),
)
"""Fields of a sidecar that are not true of an image of another contrast."""


def restored_sidecar(
    job: Job, restored: RestoredVolume, card: ModelCard, settings: RestoreSettings, notes: Sequence[str], *, what: str
) -> dict[str, Any]:
    """The JSON sidecar of a restored image: the input's own fields, then ``what`` was done to it."""
    used = settings.as_values() | {"precision_used": restored.precision}
    used |= {"engine_used": restored.engine} if "engine" in used else {}
    used |= {"condition": job.condition} if job.condition else {}
    used |= {"numeric": dict(job.numbers)} if job.numbers else {}
    used |= {"bf16_error": round(restored.error, 6)} if restored.error is not None else {}
    text = f"{what}, by the model {card.name} ({card.objective})"
    side = method_sidecar(job.pair, Origin.from_card(card), used, text, notes)
    other = job.condition or len(input_files(job.pair, card.data)) > 1
    # The factor is the degraded image's alone: the clean ones have their own.
    untrue = {INTENSITY_FACTOR, *(SEQUENCE_FIELDS if other else ())}
    side = {key: value for key, value in side.items() if key not in untrue}
    side |= {"SequenceName": f"synthetic {job.condition}"} if job.condition else {}
    side["GeneratedBy"][-1]["Model"] |= {"Step": card.step, "Version": card.versions.get("taskgan", "unknown")}
    if card.calibration and settings.plain:
        side["Calibration"] = {"measure": SUVR_LINE, **card.calibration}
    return side | {"IntensityScale": restored.intensity.scale}


def method_sidecar(
    pair: Pair, origin: Origin, settings: Mapping[str, Any], what: str, notes: Sequence[str]
) -> dict[str, Any]:
    """The JSON sidecar of an image made of a row: the input's own fields, then what was done, in a sentence."""
    own = read_sidecar(pair.degraded)
    before = own.get("GeneratedBy", [])
    done = {
        "Name": "taskgan",
        "Version": __version__,
        "Description": what,
        "Model": {"Name": origin.name, "Checksum": origin.checksum, "Objective": origin.method},
        "Settings": dict(settings),
    }
    return own | {
        "Sources": [pair.degraded.name],
        **source_checksums(pair, origin.data),
        "Warnings": list(notes),
        "GeneratedBy": [*(before if isinstance(before, list) else []), done],
    }


def is_written(job: Job, origin: Origin, settings: AppliedSettings) -> bool:
    """Whether an interrupted call left this very restoration: same model, settings and source, every byte of it."""
    return all(is_image_written(path, job, origin, settings) for path in images_of(job, settings.samples))


def images_of(job: Job, samples: int) -> list[Path]:
    """The images that a job writes: the restored one last."""
    return [*[job.sd] * bool(samples), job.target]


def write_image_sidecar(path: Path, values: Mapping[str, Any]) -> None:
    """Write the sidecar of an image that is there already; it vouches for the image by its checksum.

    In this order a call that is killed between the two, or while it overwrites others, leaves no sidecar that speaks
    of another image.
    """
    write_json(sidecar(path), {**values, IMAGE_CHECKSUM: checksum(path)})


def write_restored(job: Job, image: Array, enlarge: float = 1) -> dict[str, Any]:
    """Write a restored photo with the input's transparency, bits, colour profile and EXIF; gives what its sidecar says.

    The image is luminance (X, Y, 1), beside which the input's colour differences stay, or colours (X, Y, 3), of
    ``enlarge`` times as many pixels along each axis as the photo.
    """
    photo = read_photo(job.pair.degraded)
    if enlarge > 1:
        alpha = None if photo.alpha is None else enlarged(photo.alpha[:, :, None], enlarge)[:, :, 0]
        photo = replace(photo, pixels=enlarged(photo.pixels, enlarge), alpha=alpha)
    in_colour, grey = image.shape[2] == 3, photo.pixels.shape[2] == 1
    restored = Photo(image).luminance
    write_photo(job.target, replace(photo, pixels=image) if in_colour and not grey else with_luminance(photo, restored))
    kept = "luminance (ITU-R BT.601); the colour differences Cb and Cr are the input's"
    what = "grey values" if grey else "red, green and blue" if in_colour else kept
    return {"Bits": photo.bits, "Restored": what}


_MEASURED = (
    "precision_used",
    "engine_used",
    "bf16_error",
    "condition",
    "numeric",
)  # beside the settings that were asked for


def is_image_written(path: Path, job: Job, origin: Origin, settings: AppliedSettings) -> bool:
    """Whether a file that was made of a job's source is whole and by this model and these settings."""
    side = read_sidecar(path)
    if not path.exists() or side.get(IMAGE_CHECKSUM) != checksum(path):
        return False
    steps = side.get("GeneratedBy")
    if not isinstance(steps, list) or not steps or not isinstance(steps[-1], dict):
        return False
    last, expected, marks = steps[-1], settings.as_values(), source_checksums(job.pair, origin.data)
    done, model = last.get("Settings"), last.get("Model")
    if not isinstance(done, dict) or not isinstance(model, dict):
        return False
    return (
        model.get("Checksum") == origin.checksum
        and {key: value for key, value in done.items() if key in expected or key not in _MEASURED} == expected
        and done.get("condition", "") == job.condition
        and done.get("numeric", {}) == dict(job.numbers)
        and {key: side.get(key) for key in marks} == marks
    )


def source_checksums(pair: Pair, data: Data) -> dict[str, str]:
    """What a sidecar keeps of the files that an image was made from, so that a corrected one is noticed."""
    marks = {"SourceChecksum": checksum(pair.degraded)}
    if series := pair.series("degraded"):
        marks["SourceSeries"] = series
    further = input_files(pair, data)[1:]
    if further:
        marks["FurtherInputsChecksum"] = value_digest({"files": [checksum(path) if path else "" for path in further]})
    return marks


class RestorationRecord:
    """``restored.yaml`` of an output folder: status, and all that ``evaluate`` needs to know of a call's images."""

    def __init__(
        self,
        folder: Path,
        origin: Origin,
        settings: AppliedSettings,
        jobs: Sequence[Job],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._folder, self._jobs, self._samples, self._data = folder, jobs, settings.samples, origin.data
        self._values: dict[str, Any] = {
            "status": "running",
            "method": origin.method,
            "seed": origin.seed,
            "fold": origin.fold,
            "model": origin.name,
            "checksum": origin.checksum,
            "step": origin.step,
            "settings": settings.as_values(),
            "images": len(jobs),
            "inputs": self._inputs(jobs),
            **origin.as_values(),
            **(metadata or {}),
            "versions": versions(),
        }

    def _inputs(self, jobs: Sequence[Job]) -> str:
        """A name for the images of a call."""
        names = [
            [j.pair.case, j.pair.degraded.name, str(j.target.relative_to(self._folder)), j.condition, dict(j.numbers)]
            for j in jobs
        ]
        return value_digest({"jobs": [[*own[:3], *filter(None, own[3:])] for own in names]})

    def check(self, *, overwrite: bool) -> RestorationProgress:
        """Whether this very call is done, or an interrupted one is gone on with. Writes nothing.

        An overwriting call that was interrupted is gone on with too, whether or not it is asked to overwrite again.

        Raises:
            UserError: If it holds a restoration by another model or settings, one whose files were changed, or images
                that would be replaced, and ``overwrite`` is not set.
        """
        stored = check_output(self._folder, self._jobs, self._samples, overwrite=overwrite)
        same = all(stored.get(k) == self._values[k] for k in ("checksum", "settings"))
        # Images that could not be read may have been repaired or taken away.
        images = self._values["inputs"] in (stored.get("inputs"), stored.get("readable"))
        if stored.get("status") == "running" and same and images:
            return "unfinished"
        if not stored or overwrite:
            return "new"
        wrong = differing(self._folder / RECORD, stored)
        if not (same and images) or wrong is None or self._sources_changed():
            what = "a finished" if stored.get("status") == "complete" else "another, unfinished"
            raise UserError(
                f"{self._folder} holds {what} restoration by {stored.get('model')}; choose another folder or pass "
                "--overwrite"
            )
        if wrong:
            raise UserError(f"{wrong[0]} since it was restored; pass --overwrite to restore all anew")
        return "done"

    def _sources_changed(self) -> bool:
        sides = ((job, read_sidecar(job.target)) for job in self._jobs)
        marks = ((side, source_checksums(job.pair, self._data)) for job, side in sides)
        return any(side.get(key) != value for side, own in marks for key, value in own.items())

    def open(self) -> None:
        """Mark the folder as being written."""
        write_yaml(self._folder / RECORD, self._values)

    def close(self, unread: Mapping[Path, str] | None = None, further: Sequence[Path] = ()) -> None:
        """List the images of a table and mark the folder as complete, with the checksums of all files.

        Images that were left out (why, by target) leave it unfinished; ``further`` are images beside those of the jobs.
        """
        listed = [job for job in self._jobs if job.from_table and job.target not in (unread or {})]
        table = self._folder / TABLE
        if listed:
            with_condition = any(job.condition for job in listed)
            columns = ["case", "restored", *["sd"] * bool(self._samples), *["condition"] * with_condition]
            rows = (
                {"case": j.case, "restored": j.target.name, "sd": j.sd.name, "condition": j.condition} for j in listed
            )
            write_rows(table, columns, rows)
        else:
            table.unlink(missing_ok=True)
        if unread:
            readable = self._inputs([job for job in self._jobs if job.target not in unread])
            extra = {"unread": list(unread.values()), "readable": readable}
            write_yaml(self._folder / RECORD, self._values | extra)
            return
        images = [*further, *(path for job in self._jobs for path in images_of(job, self._samples))]
        single = [file for path in images for file in (folder_files(path) if path.is_dir() else [path])]
        files = [*single, *map(sidecar, images), *[table] * bool(listed)]
        commit(self._folder / RECORD, self._values | {"status": "complete"}, files)


def check_output(folder: Path, jobs: Sequence[Job], samples: int, *, overwrite: bool) -> dict[str, Any]:
    """Refuse an output that no settings could go on with, so before these are known. Writes nothing.

    Returns:
        What ``restored.yaml`` says; empty where there is none.

    Raises:
        UserError: If it cannot be written to, or holds images that would be replaced and no record of them.
    """
    check_writable(folder, "the restored images")
    stored = read_record(folder / RECORD)
    if not overwrite and not stored:
        refuse_existing(jobs, samples)
    return stored


def refuse_existing(jobs: Sequence[Job], samples: int) -> None:
    """Refuse to replace images or the sidecars that go with them; the UserError names the first."""
    images = [path for job in jobs for path in (job.target, *([job.sd] if samples else []))]
    there = [path for path in images if path.exists()]
    there = there or [sidecar(path) for path in images if sidecar(path).exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise UserError(f"{there[0]}{more} exists; choose another output or pass --overwrite")
