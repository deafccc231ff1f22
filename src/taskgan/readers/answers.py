"""Answers in SQLite: each one is on the disk before the reader's page hears of it; and the table of them all."""

import json
import math
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskgan.core.artefact import commit, is_done
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, checksum, value_digest, versions
from taskgan.core.lock import locked
from taskgan.core.tables import write_frame
from taskgan.readers.study import Lesion, Question, ReaderStudyFolder, StudyImage, read_study

if TYPE_CHECKING:
    import pandas as pd

DATABASE = "answers.sqlite"
# Only rows are added: a change of mind is a further row, and the last one counts.
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (number INTEGER PRIMARY KEY, serial INTEGER NOT NULL, question TEXT NOT NULL,
    value TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS of_showing ON answers (serial);
CREATE TABLE IF NOT EXISTS visits (serial INTEGER PRIMARY KEY, opened REAL NOT NULL, closed REAL, seconds REAL);
"""


class AnswerStore:
    """The database in a study's folder, for several threads; a UserError where the file is none."""

    def __init__(self, folder: Path) -> None:
        self._lock, self._opened = threading.Lock(), dict[int, float]()
        with _named(folder / DATABASE):
            self._base = sqlite3.connect(folder / DATABASE, check_same_thread=False, isolation_level=None)
            # FULL: a commit is on the disk, not only with the system.
            self._base.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_TABLES}")
            self._closed = dict(self._base.execute("SELECT serial, closed FROM visits WHERE closed IS NOT NULL"))

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def open(self, serial: int, now: float) -> None:
        """Note when a showing was first asked for; on the disk with its first answer."""
        self._opened.setdefault(serial, now)

    def save(self, serial: int, question: str, value: Any, now: float, seconds: float) -> bool:
        """Keep an answer, after so many seconds of reading; False where the showing is not open."""
        return self._change(serial, seconds, None, (question, json.dumps(value, ensure_ascii=False), now))

    def finish(self, serial: int, now: float, seconds: float) -> bool:
        """Close a showing after so many further seconds of reading; False where it is not open."""
        return self._change(serial, seconds, now, None)

    def _change(self, serial: int, seconds: float, closed: float | None, answer: tuple[Any, ...] | None) -> bool:
        """One transaction: the visit, and an answer in it."""
        visit = "UPDATE visits SET seconds = COALESCE(seconds, 0) + ?, closed = ? WHERE serial = ? AND closed IS NULL"
        insert = "INSERT INTO answers (serial, question, value, at) VALUES (?, ?, ?, ?)"
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                if serial in self._opened:
                    opened = "INSERT OR IGNORE INTO visits (serial, opened) VALUES (?, ?)"
                    self._base.execute(opened, (serial, self._opened[serial]))
                done = self._base.execute(visit, (seconds, closed, serial)).rowcount == 1
                if done and answer is not None:
                    self._base.execute(insert, (serial, *answer))
                self._base.execute("COMMIT")
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            if done and closed is not None:
                self._closed[serial] = closed
        return done

    def closed(self) -> dict[int, float]:
        """When each closed showing was closed."""
        return self._closed

    def last_answers(self, serial: int) -> dict[str, Any]:
        """The last answer to each question of a showing."""
        query = "SELECT question, value FROM answers WHERE serial = ? ORDER BY number"
        with self._lock:
            rows = self._base.execute(query, (serial,)).fetchall()
        return {question: json.loads(value) for question, value in rows}


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, ValueError, TypeError, KeyError, OverflowError) as error:
        raise UserError(f"{path} is no database of this study's answers: {error}") from None


def read_answers(study: ReaderStudyFolder) -> "pd.DataFrame":
    """All closed showings with their truth: what ``answers.csv`` holds.

    A row a showing: ``place`` in the reader's order, ``decision`` (0, 1), ``score`` (confidence, negative for "no"), a
    column for each further question; of forms with marks ``lesions``, ``found`` and ``false_marks``; times in UTC.

    Raises:
        UserError: If there are no answers, or a row of the database is not what the server writes.
    """
    import pandas as pd

    path = study.folder / DATABASE
    rows: list[dict[str, Any]] = []
    with _named(path):
        given: dict[int, dict[str, Any]] = {}
        times: dict[int, tuple[float, float]] = {}
        if path.is_file():
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
                rows_of = base.execute("SELECT serial, question, value FROM answers ORDER BY number")
                for serial, question, value in rows_of:
                    given.setdefault(serial, {})[question] = json.loads(value)
                visits = base.execute("SELECT serial, opened, seconds FROM visits WHERE closed IS NOT NULL")
                times = {serial: (float(opened), float(seconds)) for serial, opened, seconds in visits}
        for reader in study.record.readers:
            for place, one in enumerate(study.of_reader(reader), 1):
                if one.serial not in times:
                    continue
                image, (opened, seconds) = study.images[one.image], times[one.serial]
                row = {"reader": reader, "session": one.session, "place": place, "case": image.case}
                row |= {"subject": image.subject, "method": image.method, "truth": image.truth}
                row |= {"repeat": int(one.repeat), "training": int(one.training)}
                for question in study.form.questions:
                    row |= _columns(study, question, image, given.get(one.serial, {}).get(question.id))
                stamp = pd.Timestamp(opened, unit="s").strftime("%Y-%m-%dT%H:%M:%SZ")
                rows.append(row | {"seconds": seconds, "opened": stamp})
    if all(row["training"] for row in rows):
        raise UserError(f"{study.folder} holds no finished case yet; let readers answer (taskgan readers serve)")
    return pd.DataFrame(rows)


def _columns(study: ReaderStudyFolder, question: Question, image: StudyImage, value: Any) -> dict[str, Any]:
    """What an answer puts into the table."""
    if value is not None and not question.accepts(value, image.shape):
        raise ValueError(f"an answer to {question.id} that is none")
    if question.type == "decision":
        chosen, sure = (math.nan, math.nan) if value is None else (value["decision"], value["confidence"])
        return {"decision": chosen, "confidence": sure, "score": (2 * chosen - 1) * sure}
    if question.type == "likert":
        return {question.id: math.nan if value is None else value}
    if question.type == "marks":
        lesions = study.lesions_of(image)
        found, false = hits(value or [], lesions, image.spacing, study.form.acceptance_mm)
        text = " ".join(":".join(map(str, place)) for place in value or [])
        return {question.id: text, "lesions": len(lesions), "found": found, "false_marks": false}
    return {question.id: "; ".join(value) if isinstance(value, list) else value or ""}


def hits(
    marks: Sequence[Sequence[float]], lesions: Sequence[Lesion], spacing: Sequence[float], acceptance_mm: float
) -> tuple[int, int]:
    """Lesions with a mark (voxels) in their radius, which is ``acceptance_mm`` at least, and marks that are in none."""

    def _inside(mark: Sequence[float], one: Lesion) -> bool:
        away = [(a - b) * s for a, b, s in zip(mark, (one.x, one.y, one.z), spacing, strict=True)]
        return math.hypot(*away) <= max(one.radius, acceptance_mm)

    marked = sum(any(_inside(mark, one) for mark in marks) for one in lesions)
    return marked, sum(not any(_inside(mark, one) for one in lesions) for mark in marks)


def export_answers(study: PathLike, out: PathLike | None = None, *, overwrite: bool = False) -> Path:
    """Write ``answers.csv`` and last ``answers.yaml``, in ``answers`` of the study where ``out`` is None; a UserError
    where there are no answers, or others were exported already.
    """
    read = read_study(Path(study))
    folder = Path(out) if out is not None else Path(study) / "answers"
    frame = read_answers(read)
    marker, table, digest = folder / "answers.yaml", folder / "answers.csv", answers_digest(read, frame)
    with locked(folder, "the answers"):
        if not overwrite and is_done(marker, digest):
            return table
        marker.unlink(missing_ok=True)
        write_frame(table, frame, digits=6)
        commit(marker, {"readers": who_reads(read), "versions": versions(), "request": digest}, [table])
    say(f"answers: {table}: {len(frame)} of {len(read.showings)} showings")
    return table


def who_reads(study: ReaderStudyFolder) -> str:
    """What must stand beside every figure of the study."""
    count = len(study.record.readers)
    return f"{count} model observers (programs, no people)" if study.record.programs else f"{count} readers"


def answers_digest(study: ReaderStudyFolder, frame: "pd.DataFrame", **more: Any) -> str:
    """A name for a study with these answers."""
    sums = {name: checksum(study.folder / name) for name in ("key.csv", "order.csv")}
    return value_digest({"files": sums, "answers": frame.to_csv(index=False), **more}, 64)
