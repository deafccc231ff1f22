"""Every reader of files, called in this process on damaged files: success or one sentence."""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.mutate import mutate


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        folder: In the corpus; a copy of it is read.
        pattern: Which of its files are damaged.
        read: Called with the copy and the damaged file.
    """

    folder: str
    pattern: str
    read: Callable[[Path, Path], object]


def _volume(_: Path, file: Path) -> None:
    from taskgan.images.volumes import check_affine, read_shape, read_volume, write_volume

    read_shape(file)
    volume = read_volume(file)
    check_affine(file, volume)
    write_volume(file.with_name("again.nii"), volume.data, volume.affine, like=volume.header)


def _sidecar(_: Path, file: Path) -> None:
    from taskgan.core.files import write_json
    from taskgan.images.volumes import sidecar_and_notes

    side, _notes = sidecar_and_notes(file.with_name(file.name.replace(".json", ".nii.gz")), deep=True)
    write_json(file.with_name("again.json"), side)


def _photo(_: Path, file: Path) -> None:
    from taskgan.images.photos import photo_shape, read_photo, write_photo

    photo_shape(file)
    write_photo(file.with_name("again.png"), read_photo(file))


def _dicom(folder: Path, file: Path) -> None:
    from taskgan.images.dicom.series import SeriesFilter, read_series

    read_series(folder if file.name.startswith("IM") else file, SeriesFilter())


def _derived(folder: Path, file: Path) -> None:
    """Read, SUV, and written back with the values that were read."""
    from taskgan.core.errors import UserError
    from taskgan.images.dicom.derive import Derivation, check_derivable, write_derived
    from taskgan.images.dicom.series import SeriesFilter, read_series
    from taskgan.images.dicom.suv import suv_factor

    place = folder if file.name.startswith("IM") else file
    values, _, series = read_series(place, SeriesFilter())
    check_derivable(series, place)
    with suppress(UserError):
        suv_factor(series)
    write_derived(folder / "derived", series, values, Derivation("m", "d", "k", "1"))
    shutil.rmtree(folder / "derived")


def _received(folder: Path, _: Path) -> None:
    """As a node receives it; the queue is thrown away."""
    from taskgan.node.queue import Queue
    from taskgan.node.settings import read_settings
    from taskgan.node.work import Node

    queue = folder.parent / "queue"
    try:
        Node(read_settings(folder / "node.yaml"), Queue(queue)).take(folder)
    finally:
        shutil.rmtree(queue, ignore_errors=True)


def _node(_: Path, file: Path) -> None:
    from taskgan.node.settings import read_settings

    read_settings(file)


def _recipe(_: Path, file: Path) -> None:
    from taskgan.recipe import dump_recipe, read_recipe

    dump_recipe(read_recipe(str(file)))


def _pairs(folder: Path, _: Path) -> None:
    from taskgan.cohort.check import check_cohort
    from taskgan.cohort.pairs import read_pairs
    from taskgan.recipe import Data

    check_cohort(read_pairs(folder), Data(), labels=True)


def _model(folder: Path, _: Path) -> None:
    from taskgan.model.restorer import Restorer

    Restorer.from_folder(folder, precision="32", batch_size=4, device="cpu")


def _recogniser(folder: Path, _: Path) -> None:
    from taskgan.judges.recogniser import Recogniser

    Recogniser.load(folder)


def _checkpoint(folder: Path, _: Path) -> None:
    from taskgan.train.folder import load_checkpoint

    load_checkpoint(folder)


def _weights(_: Path, file: Path) -> None:
    from taskgan.judges.weights import load_vgg_face

    load_vgg_face(file, width=2)


def _dlib(_: Path, file: Path) -> None:
    from taskgan.judges.weights import load_dlib_face

    load_dlib_face(file, width=2)


def _described(folder: Path, _: Path) -> None:
    from taskgan.core.artefact import verify
    from taskgan.info import as_json, describe

    for call in (describe, as_json, verify):
        call(folder)  # type: ignore[operator]


def _evaluation(folder: Path, _: Path) -> None:
    from taskgan.evaluate.cases import read_case_table
    from taskgan.judges.readings import read_readings

    read_case_table(folder)
    read_readings(folder)


def _arrays(_: Path, file: Path) -> None:
    from taskgan.core.tensors import load_arrays

    try:
        load_arrays(file)
    except MemoryError:
        raise
    except Exception:  # callers make a sentence of whatever it raises
        return


READERS = {
    "NIfTI": Reader("volumes", "*.nii*", _volume),
    "sidecar": Reader("restored", "*.json", _sidecar),
    "PNG": Reader("pictures", "*.png", _photo),
    "JPEG": Reader("pictures", "*.jpg", _photo),
    "TIFF": Reader("pictures", "*.tif", _photo),
    "BMP": Reader("pictures", "*.bmp", _photo),
    "DICOM": Reader("dicom", "*.dcm", _dicom),
    "enhanced DICOM": Reader("enhanced", "*.dcm", _dicom),
    "derived PET": Reader("pet", "*.dcm", _derived),
    "derived Enhanced PET": Reader("enhanced-pet", "*.dcm", _derived),
    "received": Reader("pet", "*.dcm", _received),
    "node settings": Reader("pet", "node.yaml", _node),
    "recipe": Reader("recipes", "*.yaml", _recipe),
    "pairs.csv": Reader("cohort", "pairs.csv", _pairs),
    "model card": Reader("run/model", "model.yaml", _model),
    "safetensors": Reader("run/model", "*.safetensors", _model),
    "recogniser": Reader("recogniser", "recogniser.*", _recogniser),
    "checkpoint": Reader("run", "last.ckpt", _checkpoint),
    "MATLAB": Reader("weights", "*.mat", _weights),
    "PyTorch": Reader("weights", "*.pth", _weights),
    "dlib": Reader("weights", "*.dat", _dlib),
    "run": Reader("run", "*.*", _described),
    "restored": Reader("restored", "restored.*", _described),
    "evaluation": Reader("evaluation", "*.*", _described),
    "readings": Reader("evaluation", "*.csv", _evaluation),
    "cohort": Reader("cohort", "*.csv", _described),
    "npz": Reader("arrays", "*.npz", _arrays),
}


def make_corpus(corpus: Path, material: Path) -> None:
    """The sound files: what commands made, and one of each foreign format."""
    shutil.rmtree(corpus, ignore_errors=True)
    for name in ("run", "restored", "evaluation", "cohort"):
        shutil.copytree(material / name, corpus / name)
    shutil.copytree(next((material / "cohort").rglob("recogniser.yaml")).parent, corpus / "recogniser")
    make_foreign(corpus)
    shutil.copy(material / "tiny.yaml", corpus / "recipes")
    shutil.copy(material / "node.yaml", corpus / "pet")
    shutil.copytree(material / "run" / "model", corpus / "pet" / "run")


def make_foreign(corpus: Path) -> None:
    """Images, shipped recipes, weights and arrays: what no command makes."""
    import numpy as np
    from PIL import Image

    from dicom_files import write_enhanced, write_pet, write_series
    from dlib_files import write_dlib
    from enhanced_pet import write_enhanced_pet
    from taskgan.images.volumes import write_volume
    from vgg_face_files import random_layers, write_mat, write_pth

    rng = np.random.default_rng(0)
    image = rng.random((9, 8, 5)).astype(np.float32)
    for name, data in (("a.nii", image), ("b.nii.gz", image), ("c.nii", (99 * image).astype(np.int16))):
        write_volume(corpus / "volumes" / name, data, np.diag([2.0, 2.0, 3.0, 1.0]))
    pictures = corpus / "pictures"
    pictures.mkdir()
    colour = rng.integers(0, 256, (20, 16, 3), dtype=np.uint8)
    for name, mode in (("rgb.png", "RGB"), ("l.png", "L"), ("p.png", "P"), ("rgba.png", "RGBA"), ("rgb.jpg", "RGB"),
                       ("cmyk.jpg", "CMYK"), ("rgb.tif", "RGB"), ("l.tif", "L"), ("rgb.bmp", "RGB")):  # fmt: skip
        Image.fromarray(colour).convert(mode).save(pictures / name)
    Image.fromarray(rng.integers(0, 65536, (12, 9), dtype=np.uint16)).save(pictures / "deep.png")
    Image.fromarray(colour).save(pictures / "lzw.tif", compression="tiff_lzw")
    stored = rng.integers(0, 900, (8, 6, 3), dtype=np.uint16)
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    write_series(corpus / "dicom", stored, affine)
    write_enhanced(corpus / "enhanced" / "one.dcm", [(stored, 1.0, 0.0, "MAGNITUDE", 100, 20)], affine)
    write_pet(corpus / "pet", stored, affine)
    write_enhanced_pet(corpus / "enhanced-pet" / "one.dcm", stored, affine)
    (corpus / "recipes").mkdir()
    recipes = Path(__import__("taskgan").__file__).parent / "recipes"
    for path in recipes.glob("*demo*.yaml"):
        shutil.copy(path, corpus / "recipes")
    (corpus / "weights").mkdir()
    layers = random_layers()
    write_pth(corpus / "weights" / "old.pth", layers)
    write_pth(corpus / "weights" / "new.pth", layers, legacy=False)
    write_mat(corpus / "weights" / "a.mat", layers)
    write_dlib(corpus / "weights" / "a.dat")
    (corpus / "arrays").mkdir()
    np.savez(corpus / "arrays" / "a.npz", a=image, b=np.arange(5))


_MOST_LINES, _LONGEST_LINE = 210, 5000


@contextmanager
def _crashes() -> Iterator[list[str]]:
    """Tracebacks of errors that the net of the command line would call our own fault."""
    import traceback

    from taskgan.cli import crash

    caught: list[str] = []
    before = crash.write_crash_report

    def note(error: BaseException) -> str:
        caught.append("".join(traceback.format_exception(error))[-1500:])
        return ""

    crash.write_crash_report = note
    try:
        yield caught
    finally:
        crash.write_crash_report = before


def problem_of(read: Callable[[], Any]) -> str:
    """Call a reader; gives what is wrong with how it ends, empty where it is success or one sentence."""
    from taskgan.cli.entry import error_message

    with _crashes() as caught:
        try:
            read()
        except MemoryError as error:
            return f"wants over 2 GiB: {error}"
        except Exception as error:
            message, code = error_message(error)
            if caught:
                return caught[0]
            lines = message.splitlines()  # a table's problems are listed, each on a line of its own
            if code not in (2, 3) or len(lines) > _MOST_LINES or max(map(len, lines), default=0) > _LONGEST_LINE:
                return f"code {code}, {len(message)} characters: {message[:300]}"
    return ""


def inputs(name: str, corpus: Path, scratch: Path, numbers: range) -> Iterator[tuple[int, str]]:
    """Damage and read, for each number; gives what is wrong, if anything.

    Args:
        name: Of :data:`READERS`.
        corpus: See :func:`make_corpus`.
        scratch: A folder to work in.
        numbers: Seeds.
    """
    import warnings

    warnings.simplefilter("ignore")
    reader = READERS[name]
    folder = scratch / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(corpus / reader.folder, folder)
    sound = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    files = [path for path in sound if path.match(reader.pattern)]
    for number in numbers:
        rng = random.Random(f"{name}/{number}")
        file = rng.choice(files)
        file.write_bytes(mutate(file.suffix, sound[file], rng))
        yield number, problem_of(lambda file=file: reader.read(folder, file))  # type: ignore[misc]
        file.write_bytes(sound[file])
