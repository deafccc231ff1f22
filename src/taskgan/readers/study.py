"""A study folder: its plan and form, what each image is (``key.csv``) and who reads which when (``order.csv``).

Both stay where they are: a reader gets voxels, and a number that a secret key makes of the place in the order.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from taskgan.core.errors import UserError
from taskgan.core.files import atomic, checksum, read_yaml
from taskgan.core.settings import Settings, validated
from taskgan.core.tables import read_table

RECORD, IMAGES, SECRET = "study.yaml", "images", ".secret"
_TAKEN = {
    *("reader", "session", "place", "case", "subject", "method", "truth", "repeat", "training", "confidence"),
    *("score", "seconds", "opened", "lesions", "found", "false_marks"),
}
_MAX_TEXT, _MAX_MARKS = 2000, 50
ReaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}$")]


class Question(Settings):
    """One question. A ``decision`` is yes or no with a confidence, 1 to 5 or 0 to 100; ``likert`` a grade; ``choices``
    any of several words; ``marks`` places in the image.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    type: Literal["decision", "likert", "choices", "text", "marks"]
    text: str
    positive: str = "Yes"
    negative: str = "No"
    confidence: Literal[5, 100] = 5
    points: int = Field(5, ge=2, le=11)
    low: str = ""
    high: str = ""
    options: tuple[str, ...] = ()

    def accepts(self, value: Any, shape: Sequence[int]) -> bool:
        """Whether JSON is an answer to it, for an image of (X, Y, Z) voxels."""
        if self.type == "decision":
            known = isinstance(value, dict) and value.keys() == {"decision", "confidence"}
            least = 1 if self.confidence == 5 else 0
            return known and _whole(value["decision"], 0, 1) and _whole(value["confidence"], least, self.confidence)
        if self.type == "likert":
            return _whole(value, 1, self.points)
        if self.type == "text":
            return isinstance(value, str) and len(value) <= _MAX_TEXT
        if not isinstance(value, list) or len(value) > _MAX_MARKS:
            return False
        if self.type == "choices":
            return all(isinstance(one, str) and one in self.options for one in value)
        return all(
            isinstance(place, list) and len(place) == 3 and all(map(_whole, place, (0, 0, 0), (n - 1 for n in shape)))
            for place in value
        )


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


class ReaderForm(Settings):
    """What readers are asked. ``truth`` is the column of ``pairs.csv`` that says 1 or 0, ``masks`` one of lesion masks;
    with ``pairs`` two photos stand side by side, those of the test pairs of ``verification.csv``. A mark finds a lesion
    within its radius, and within ``acceptance_mm`` of its middle.
    """

    title: str
    instructions: str = ""
    truth: str = "label"
    masks: str = ""
    pairs: bool = False
    acceptance_mm: float = Field(10.0, ge=0)
    colours: Literal["grey", "inverse", "hot", "rainbow"] = "grey"
    questions: tuple[Question, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_of_each(self) -> "ReaderForm":
        kinds = [one.type for one in self.questions]
        if len({one.id for one in self.questions}) < len(kinds):
            raise ValueError("expected questions with ids of their own")
        if taken := _TAKEN & {one.id for one in self.questions}:
            raise ValueError(f"expected other ids than {', '.join(sorted(taken))}, which columns of answers have")
        if kinds.count("decision") != 1 or kinds.count("marks") > 1:
            raise ValueError("expected one question of the type decision, and at most one of the type marks")
        return self

    def of_type(self, kind: str) -> list[Question]:
        """The questions of a type."""
        return [one for one in self.questions if one.type == kind]


def read_form(name: str) -> ReaderForm:
    """A form of the package (amyloid, faces, lesions) or a YAML file; a UserError where there is none."""
    shipped = Path(str(resources.files("taskgan.readers") / "forms"))
    path = Path(name) if Path(name).is_file() else shipped / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in shipped.glob("*.yaml")))
        raise UserError(f"{name} is no form; expected a YAML file or one of {known}")
    return validated(ReaderForm, read_yaml(path), f"{name} is not a valid form")


class StudyPlan(Settings):
    """What a study is to be. ``crossed``: all read all cases; ``split-plot``: ``groups`` have cases of their own.

    ``sessions`` is one for each kind of image where None, ``repeats`` are the hidden ones of a reader, ``training``
    cases with feedback come first; at most ``cases`` are drawn. ``programs``: model observers read, no people.
    """

    form: str = "amyloid"
    design: Literal["crossed", "split-plot"] = "crossed"
    readers: tuple[ReaderName, ...] = Field(default=("reader-1", "reader-2", "reader-3"), min_length=1)
    groups: int = 2
    sessions: int | None = Field(default=None, ge=1)
    washout_days: float = Field(default=14.0, ge=0)
    repeats: int = Field(default=4, ge=0)
    training: int = Field(default=2, ge=0)
    cases: int | None = Field(default=None, ge=2)
    split: Literal["train", "val", "test"] = "test"
    programs: bool = False
    seed: int = Field(default=0, ge=0)

    def passes(self, methods: int) -> int:
        """Number of sessions."""
        return min(self.sessions or methods, methods)

    @model_validator(mode="after")
    def _fits(self) -> "StudyPlan":
        if len(set(self.readers)) < len(self.readers):
            raise ValueError("expected readers with names of their own")
        if self.design == "split-plot" and not 2 <= self.groups <= len(self.readers):
            raise ValueError(f"expected 2 to {len(self.readers)} groups, the number of readers")
        return self


class StudyRecord(StudyPlan):
    """What ``study.yaml`` says."""

    asked: ReaderForm
    methods: tuple[str, ...]
    versions: dict[str, str]
    request: str
    files: dict[str, str]


class StudyImage(Settings):
    """A row of ``key.csv``: an image of a case, stored as unsigned numbers (Z, Y, X, C) of so many bits; ``dx`` in mm,
    window in stored numbers. All but name and method is the same for all images of a case.
    """

    image: str
    case: str
    subject: str
    method: str
    truth: int = Field(ge=0, le=1)
    x: int = Field(ge=1)
    y: int = Field(ge=1)
    z: int = Field(ge=1)
    channels: Literal["1", "3"]
    bits: Literal["8", "16"]
    dx: float = Field(gt=0)
    dy: float = Field(gt=0)
    dz: float = Field(gt=0)
    window_low: int
    window_high: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(X, Y, Z)."""
        return self.x, self.y, self.z

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Edges of a voxel, mm."""
        return self.dx, self.dy, self.dz


class Showing(Settings):
    """A row of ``order.csv``: one image shown to one reader; training is session 0."""

    serial: int
    reader: str
    session: int
    image: str
    repeat: bool
    training: bool


class Lesion(Settings):
    """A row of ``lesions.csv``: middle in voxels, radius of a ball of that volume in mm."""

    case: str
    x: float
    y: float
    z: float
    radius: float


TABLES: dict[str, type[Settings]] = {"key.csv": StudyImage, "order.csv": Showing, "lesions.csv": Lesion}


@dataclass(frozen=True)
class ReaderStudyFolder:
    """A whole study, without its answers."""

    folder: Path
    record: StudyRecord
    images: Mapping[str, StudyImage] = field(repr=False)
    showings: tuple[Showing, ...] = field(repr=False)
    lesions: tuple[Lesion, ...] = field(repr=False)
    key: bytes = field(repr=False)

    @property
    def form(self) -> ReaderForm:
        """What is asked."""
        return self.record.asked

    def sign(self, *words: object) -> str:
        """32 hex digits that nobody makes without the key."""
        return hmac.new(self.key, "\0".join(map(str, words)).encode(), hashlib.sha256).hexdigest()[:32]

    def of_reader(self, reader: str) -> list[Showing]:
        """What a reader sees, in order."""
        return [one for one in self.showings if one.reader == reader]

    def lesions_of(self, image: StudyImage) -> list[Lesion]:
        """Those of the image's case."""
        return [one for one in self.lesions if one.case == image.case]


def make_secret(folder: Path) -> None:
    """The key that links are made of, where there is none yet; nobody else on the machine can read it."""
    if not (folder / SECRET).is_file():
        with atomic(folder / SECRET) as partial:
            partial.write_bytes(secrets.token_bytes(32))
        (folder / SECRET).chmod(0o600)


def read_study(folder: Path, *, images: bool = False) -> ReaderStudyFolder:
    """Read a study, with ``images`` against their checksums too; a UserError where it is none, or was changed."""
    marker = folder / RECORD
    if not marker.is_file():
        raise UserError(f"{folder} holds no {RECORD}; expected a study of taskgan readers make")
    record = validated(StudyRecord, read_yaml(marker), f"{marker} is not what taskgan writes")
    for name, expected in record.files.items():
        path = folder / name
        if not path.is_file() or ((images or path.suffix == ".csv") and checksum(path) != expected):
            raise UserError(f"{path} is missing or was changed since {RECORD} was written; make the study anew")
    keys, showings, lesions = (_rows(folder / name, model) for name, model in TABLES.items())
    images_of, found = {one.image: one for one in keys}, ({o.method for o in keys}, {o.reader for o in showings})
    if found != (set(record.methods), set(record.readers)) or not {o.image for o in showings} <= images_of.keys():
        raise UserError(f"{marker} does not fit its tables; make the study anew")
    key = (folder / SECRET).read_bytes() if (folder / SECRET).is_file() else b""
    if len(key) < 32:
        raise UserError(f"{folder / SECRET} is missing or cut short, expected the key of the readers' links")
    return ReaderStudyFolder(folder, record, images_of, showings, lesions, key)


def _rows(path: Path, model: type[Settings]) -> tuple[Any, ...]:
    rows = read_table(path, list(model.model_fields), empty=True)
    return tuple(validated(model, row, f"{path} row {number} is not what taskgan writes") for number, row in rows)
