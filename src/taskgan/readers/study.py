"""A study folder: the form with its questions, which image is what, and who reads what when.

``key.csv`` says what each image is and ``order.csv`` which image each reader sees when; both stay on the machine that
serves. A reader gets a number that a secret key makes of the place in the order, and the voxels.
"""

import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from taskgan.core.errors import UserError
from taskgan.core.files import atomic, checksum, read_yaml
from taskgan.core.parse import parse_yaml, read_text
from taskgan.core.settings import Settings, validated
from taskgan.core.tables import read_table

RECORD, KEY, ORDER, LESIONS, IMAGES, SECRET = (
    *("study.yaml", "key.csv", "order.csv", "lesions.csv"),
    *("images", ".secret"),
)
KEY_COLUMNS = (
    *("image", "case", "subject", "method", "truth", "x", "y", "z", "channels", "bits"),
    *("dx", "dy", "dz", "low", "high", "window_low", "window_high"),
)
ORDER_COLUMNS = ("serial", "reader", "session", "image", "repeat", "training")
LESION_COLUMNS = ("case", "x", "y", "z", "radius")
_MAX_TEXT, _MAX_MARKS = 2000, 50
Name = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")


class Question(Settings):
    """One question of a form.

    Of the kinds, ``decision`` is yes or no with a confidence, 1 to 5 or 0 to 100; ``likert`` a grade; ``choices`` any
    of several words; ``marks`` places in the image.
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

    @property
    def required(self) -> bool:
        """Whether a case cannot be closed without it."""
        return self.type in ("decision", "likert")

    def check(self, value: Any, shape: Sequence[int]) -> str:
        """What is wrong with an answer; empty where nothing is.

        Args:
            value: As JSON gives it.
            shape: (X, Y, Z) of the image.
        """
        if self.type == "decision":
            fits = isinstance(value, dict) and value.keys() == {"decision", "confidence"}
            fits = fits and _whole(value["decision"], 0, 1)
            fits = fits and _whole(value["confidence"], 1 if self.confidence == 5 else 0, self.confidence)
        elif self.type == "likert":
            fits = _whole(value, 1, self.points)
        elif self.type == "text":
            fits = isinstance(value, str) and len(value) <= _MAX_TEXT
        elif self.type == "choices":
            fits = isinstance(value, list) and len(value) <= len(self.options) and all(v in self.options for v in value)
        else:
            fits = isinstance(value, list) and len(value) <= _MAX_MARKS
            fits = fits and all(isinstance(place, list) and len(place) == 3 for place in value)
            fits = fits and all(_whole(v, 0, n - 1) for place in value for v, n in zip(place, shape, strict=True))
        return "" if fits else f"no answer to a question of the type {self.type}"


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


class ReaderForm(Settings):
    """What readers are asked.

    ``truth`` is the column of ``pairs.csv`` that says 1 or 0; ``masks`` one of lesion masks; with ``pairs`` two photos
    stand side by side, those of the test pairs of ``verification.csv``. A mark hits a lesion within its radius, or
    within ``acceptance_mm`` of its middle.
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
        names = [one.id for one in self.questions]
        kinds = [one.type for one in self.questions]
        if len(set(names)) < len(names):
            raise ValueError("expected questions with ids of their own")
        if kinds.count("decision") != 1 or kinds.count("marks") > 1:
            raise ValueError("expected one question of the type decision, and at most one of the type marks")
        if any(one.type == "choices" and not one.options for one in self.questions):
            raise ValueError("expected options of a question of the type choices")
        return self

    def question(self, name: str) -> Question | None:
        """The question of that id."""
        return next((one for one in self.questions if one.id == name), None)

    def of_type(self, kind: str) -> list[Question]:
        """The questions of a type."""
        return [one for one in self.questions if one.type == kind]


def shipped_forms() -> list[str]:
    """Names of the forms that come with the package."""
    folder = resources.files("taskgan.readers") / "forms"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def read_form(name: str) -> ReaderForm:
    """A form that comes with the package, or a YAML file.

    Raises:
        UserError: If there is none of that name, or it is no form.
    """
    if name in shipped_forms():
        text = (resources.files("taskgan.readers") / "forms" / f"{name}.yaml").read_text(encoding="utf-8")
        values = parse_yaml(text, name)
    elif Path(name).is_file():
        values = parse_yaml(read_text(Path(name)), name)
    else:
        raise UserError(f"{name} is no form; expected a YAML file or one of {', '.join(shipped_forms())}")
    if not isinstance(values, dict):
        raise UserError(f"{name} holds no form, expected a mapping with title and questions")
    return validated(ReaderForm, values, f"{name} is not a valid form")


class StudyRecord(Settings):
    """What ``study.yaml`` says."""

    form: ReaderForm
    design: Literal["crossed", "split-plot"]
    readers: tuple[str, ...]
    methods: tuple[str, ...]
    sessions: int = Field(ge=1)
    washout_days: float = Field(ge=0)
    programs: bool  # no people read, but model observers
    seed: int
    made_from: dict[str, str]
    versions: dict[str, str]
    request: str
    files: dict[str, str]


@dataclass(frozen=True)
class StudyImage:
    """A row of ``key.csv``: an image of a case, and how its voxels are stored (Z, Y, X, C), unsigned.

    ``spacing`` is in mm, ``window`` in stored values, the same for all methods of a case.
    """

    name: str
    case: str
    subject: str
    method: str
    truth: int
    shape: tuple[int, int, int]
    channels: int
    bits: int
    spacing: tuple[float, float, float]
    window: tuple[int, int]

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * self.channels * self.bits // 8


@dataclass(frozen=True)
class Showing:
    """A row of ``order.csv``: one image shown to one reader; training comes first, in session 0."""

    serial: int
    reader: str
    session: int
    image: str
    repeat: bool
    training: bool


@dataclass(frozen=True)
class ReaderStudyFolder:
    """A whole study, without its answers."""

    folder: Path
    record: StudyRecord
    images: Mapping[str, StudyImage] = field(repr=False)
    showings: tuple[Showing, ...] = field(repr=False)
    lesions: Mapping[str, list[tuple[float, float, float, float]]] = field(repr=False)

    @property
    def form(self) -> ReaderForm:
        """What is asked."""
        return self.record.form

    @cached_property
    def _secret(self) -> bytes:
        path = self.folder / SECRET
        try:
            key = path.read_bytes()
        except OSError:
            raise UserError(f"{path} cannot be read, expected the key of the readers' links") from None
        if len(key) < 32:
            raise UserError(f"{path} has {len(key)} bytes, expected 32: make the study anew")
        return key

    def sign(self, *words: object) -> str:
        """32 hex digits that nobody makes without the key."""
        text = "\0".join(map(str, words))
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()[:32]

    def token(self, reader: str) -> str:
        """What a reader's link ends in."""
        return self.sign("link", reader)

    def of_reader(self, reader: str) -> list[Showing]:
        """What a reader sees, in order."""
        return [one for one in self.showings if one.reader == reader]

    def image_of(self, showing: Showing) -> StudyImage:
        """The image of a showing."""
        return self.images[showing.image]


def make_secret(folder: Path) -> None:
    """The key that links are made of, where there is none yet; nobody else on the machine can read it."""
    path = folder / SECRET
    if not path.is_file():
        with atomic(path) as partial:
            partial.write_bytes(secrets.token_bytes(32))
        path.chmod(0o600)


def read_study(folder: Path, *, images: bool = False) -> ReaderStudyFolder:
    """Read a study.

    Args:
        folder: Of ``taskgan readers make``.
        images: Hold the images against their checksums too.

    Raises:
        UserError: If it is none, is unfinished, or its files are not those that it was made with.
    """
    marker = folder / RECORD
    if not marker.is_file():
        raise UserError(f"{folder} holds no {RECORD}; expected a study of taskgan readers make")
    record = validated(StudyRecord, read_yaml(marker), f"{marker} is not what taskgan writes")
    for name, expected in record.files.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing since {RECORD} was written; make the study anew")
        if (images or path.suffix == ".csv") and checksum(path) != expected:
            raise UserError(f"{path} was changed since {RECORD} was written; make the study anew")
    numbers = [name for name in KEY_COLUMNS if name not in ("image", "case", "subject", "method")]
    keys = {row["image"]: _image(row) for _, row in read_table(folder / KEY, KEY_COLUMNS, numbers=numbers)}
    showings = tuple(_showing(row) for _, row in read_table(folder / ORDER, ORDER_COLUMNS, numbers=("serial",)))
    lesions: dict[str, list[tuple[float, float, float, float]]] = {}
    for _, row in read_table(folder / LESIONS, LESION_COLUMNS, numbers=LESION_COLUMNS[1:], empty=True):
        x, y, z, radius = (float(row[name]) for name in LESION_COLUMNS[1:])
        lesions.setdefault(row["case"], []).append((x, y, z, radius))
    return ReaderStudyFolder(folder, record, keys, showings, lesions)


def _image(row: Mapping[str, str]) -> StudyImage:
    return StudyImage(
        name=row["image"],
        case=row["case"],
        subject=row["subject"],
        method=row["method"],
        truth=int(row["truth"]),
        shape=(int(row["x"]), int(row["y"]), int(row["z"])),
        channels=int(row["channels"]),
        bits=int(row["bits"]),
        spacing=(float(row["dx"]), float(row["dy"]), float(row["dz"])),
        window=(int(row["window_low"]), int(row["window_high"])),
    )


def _showing(row: Mapping[str, str]) -> Showing:
    serial, session = int(row["serial"]), int(row["session"])
    return Showing(serial, row["reader"], session, row["image"], row["repeat"] == "1", row["training"] == "1")


def stored(data: np.ndarray[Any, Any], low: float, high: float, bits: int) -> np.ndarray[Any, Any]:
    """Values (X, Y, Z, C) as whole numbers (Z, Y, X, C) between two values that are the same for all methods."""
    most = 2**bits - 1
    scaled = np.clip((np.nan_to_num(data) - low) / max(high - low, 1e-12), 0, 1) * most
    return np.ascontiguousarray(np.rint(scaled).transpose(2, 1, 0, 3).astype(f"<u{bits // 8}"))
