"""``taskgan models``: what is at hand, whether it is whole, and folders in the layout of model hubs, in and out."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from taskgan.core.artefact import differing
from taskgan.core.console import say
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import PathLike, atomic_folder, write_text
from taskgan.core.lock import locked
from taskgan.core.parse import read_text
from taskgan.model.folder import CARD, WEIGHTS, ModelCard, read_card, read_model, write_model
from taskgan.model.shelf import INDEX, index_folders, listed_models, model_folder, models_called
from taskgan.release.cards import model_readme, read_figures

README = "README.md"


def list_models(index: Path | None = None) -> str:
    """All models, a line each: name, objective, what they saw, size, checksum, where from."""
    rows = []
    for one in listed_models(index):
        weights = one.folder / WEIGHTS
        size = f"{weights.stat().st_size / 1e6:.1f} MB" if weights.is_file() else f"no {WEIGHTS}"
        place = "shipped" if one.shipped else str(one.folder.parent)
        rows.append((one.name, one.card.objective, one.seen, size, one.card.checksum[:12], place))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "next: taskgan restore NAME scan.nii.gz -o out.nii.gz"])


def verify_models(names: Sequence[str] = (), index: Path | None = None) -> None:
    """Hold the SHA-256 of weights against card and README, of some models or of all.

    Raises:
        Problems: Each file that is missing or was changed.
    """
    chosen = [one for name in names for one in models_called(name, index)] if names else listed_models(index)
    if wrong := [sentence for one in chosen for sentence in _damage(one.folder)]:
        raise Problems("these models are not what was released", wrong)
    say(f"{len(chosen)} model{'s' * (len(chosen) != 1)}: every file is as it was released")


def _damage(folder: Path) -> list[str]:
    """Which files are not those that the card, and the README beside it, vouch for."""
    wrong, readme = list(differing(folder / CARD) or []), folder / README
    if readme.is_file() and read_card(folder / CARD).checksum not in read_text(readme):
        wrong.append(f"{readme} names another checksum than {CARD}")
    return wrong


def export_model(
    model: PathLike,
    out: PathLike,
    *,
    name: str = "",
    licence: str = "other",
    evaluations: Sequence[Path] = (),
    overwrite: bool = False,
) -> Path:
    """Write a model in the layout of hubs: weights, ``model.yaml`` and a ``README.md`` with a YAML header.

    Args:
        model: Model folder, run folder, or the name of a listed model.
        out: Folder; replaced as a whole.
        name: What the model is called there; empty is the name of its card.
        licence: SPDX identifier in lower case.
        evaluations: Of its test subjects, and of rivals on the same ones.
        overwrite: Replace what is there.

    Raises:
        UserError: If the model or an evaluation cannot be read, or the output holds something else.
    """
    out = Path(out)
    state, card = read_model(model_folder(model))
    card = card.model_copy(update={"name": name or card.name})
    text = model_readme(card, licence=licence, figures=read_figures(evaluations))
    with locked(out, "the model", beside=True):
        if not overwrite and _holds(out, card, text):
            return out
        with atomic_folder(out) as fresh:
            write_model(fresh / "model", state, card)
            for path in (fresh / "model").iterdir():
                path.replace(fresh / path.name)
            (fresh / "model").rmdir()
            write_text(fresh / README, text)
    say(f"{out}: {card.name} with its card; taskgan models import {out} puts it into an index")
    return out


def _holds(folder: Path, card: ModelCard, text: str) -> bool:
    """Whether a model is there already, which it says.

    Raises:
        UserError: If something else is.
    """
    if not folder.exists():
        return False
    readme = read_text(folder / README) if (folder / README).is_file() else ""
    if not (folder / CARD).is_file() or read_card(folder / CARD) != card or _damage(folder) or readme != text:
        raise UserError(f"{folder} holds something else; choose another place or pass --overwrite")
    say(f"{folder}: already done (--overwrite makes it anew)")
    return True


def import_model(source: PathLike, *, name: str = "", index: Path | None = None, overwrite: bool = False) -> Path:
    """Take a folder in the layout of hubs, or a model folder, into an index, if its checksums hold.

    Args:
        source: The folder.
        name: ``NAME`` or ``FAMILY/VARIANT``; empty is that of the card.
        index: The index; None is the first of ``TASKGAN_MODELS``.
        overwrite: Replace a model of this name.

    Raises:
        UserError: If there is no index, the folder is no model, or the name is taken or no name.
        Problems: If files are not what the card or the README name.
    """
    source = Path(source)
    source = source if (source / CARD).is_file() else source / "model"
    card = read_model(source)[1]
    if wrong := _damage(source):
        raise Problems(f"{source} is not what was released", wrong)
    if not (own := [index] if index else index_folders()[:-1]):
        raise UserError(f"there is no index of models: say --index FOLDER, or set {INDEX}")
    name = name or card.name
    parts = name.split("/")
    if len(parts) > 2 or any(not part or part.startswith(".") or part != Path(part).name for part in parts):
        raise UserError(f"{name!r} is no name of a model; expected NAME or FAMILY/VARIANT")
    target = own[0] / name
    with locked(target, "the model", beside=True):
        text = read_text(source / README) if (source / README).is_file() else ""
        if not overwrite and _holds(target, card, text):
            return target
        with atomic_folder(target) as fresh:
            for path in (source / file for file in (README, WEIGHTS, CARD)):
                if path.is_file():
                    shutil.copyfile(path, fresh / path.name)
    say(f"{target}: taskgan restore {name} scan.nii.gz -o out.nii.gz")
    return target
