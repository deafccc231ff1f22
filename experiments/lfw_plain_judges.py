"""How well the judges of faces that are told no identity tell people apart, on LFW's view 1.

    python experiments/lfw_plain_judges.py COHORT                # as they are, on pairsDevTest: once, at the end
    python experiments/lfw_plain_judges.py COHORT --choose LFW   # how their settings were chosen, on pairsDevTrain

COHORT is made by ``taskgan prepare lfw LFW COHORT --crop 128``. The first writes ``verification.csv`` (AUC with the
interval by person, equal error rate, accuracy at the threshold of ``pairsDevTrain``) for clean pairs, for pairs of
inputs (both blurred, 8x down and up) and for an input beside a clean image, what is lost against clean pairs, and
``readers.json``. The second writes ``settings.csv``; spaces are then fitted to images of people who are on no list,
so that no image of a pair was seen before.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lbp_histograms import chi_square_distance, lbp_histograms
from taskgan.cohort.pairs import read_pairs
from taskgan.core.files import atomic, write_json
from taskgan.images.volumes import read_volume
from taskgan.judges.faces import RECIPES, ReaderRecipe, fit_photo_readers, photo_readers
from taskgan.judges.verification import ImagePairs, auc_difference_by_person, auc_interval_by_person
from taskgan.metrics.roc import accuracy, auc, best_threshold, roc_curve
from taskgan.prepare.lfw import NAMES, PairList, case_of, find_images, find_list, read_list
from taskgan.recipe import Data

Array = NDArray[np.float32]
OUT = Path(__file__).parents[1] / "results" / "lfw-judges"
KINDS = {"clean": ("clean", "clean"), "input": ("degraded", "degraded"), "input beside clean": ("degraded", "clean")}
FIELDS = (
    *("reader", "images", "pairs", "people", "auc", "auc_low", "auc_high"),
    *("lost", "lost_low", "lost_high", "equal_error_rate", "accuracy"),
)


@dataclass(frozen=True)
class Listed:
    """Pairs of a list, as names of cases."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    who: ImagePairs

    @property
    def cases(self) -> list[str]:
        return list(dict.fromkeys([*self.first, *self.second]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--choose", type=Path, metavar="LFW_FOLDER", help="try settings, on pairsDevTrain")
    parser.add_argument("--pairs", type=int, default=1200, help="of pairsDevTrain that settings are tried on")
    parser.add_argument("--images", type=int, default=1400, help="that spaces are then fitted to")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    if asked.choose:
        choose(asked.choose, asked.pairs, asked.images, asked.out)
    else:
        judge(asked.cohort, asked.out)


def judge(cohort: Path, out: Path) -> None:
    """The table of ``pairsDevTest``."""
    table = read_pairs(cohort)
    started = time.process_time()
    readers = photo_readers(table, Data())
    print(f"two readers: {time.process_time() - started:.0f} s", flush=True)
    lists = listed_of(cohort)
    paths = {row.case: {"clean": row.clean, "degraded": row.degraded} for row in table}
    rows: list[dict[str, object]] = []
    for name, reader in readers.items():
        rows += verified(name, reader.descriptor, reader.distance, paths, lists)
        write(out / "verification.csv", FIELDS, rows)
    write_json(out / "readers.json", {name: reader.description() for name, reader in readers.items()})
    # As published in 2006: nothing is fitted.
    rows += verified("lbp, chi-square, nothing fitted", histograms, chi_square_distance, paths, lists)
    write(out / "verification.csv", FIELDS, rows)


def histograms(values: Array) -> Array:
    return lbp_histograms(values.T[None])[0]


def verified(
    name: str,
    describe: Callable[[Array], Array],
    distance: Callable[[Array, Array], NDArray[np.float64]],
    paths: Mapping[str, Mapping[str, Path | None]],
    lists: Mapping[str, Listed],
) -> list[dict[str, object]]:
    """Rows of one reader: test pairs of every kind of image, at the threshold of clean training pairs."""
    started, test, train = time.process_time(), lists["test"], lists["train"]
    seen = {kind: {case: describe(photo(paths[case][kind])) for case in test.cases} for kind in ("clean", "degraded")}
    took = (time.process_time() - started) / (2 * len(test.cases))
    print(f"{name}: {1e3 * took:.1f} ms an image, reading it included", flush=True)
    distances = {
        kind: distance(stacked(seen[ours], test.first), stacked(seen[theirs], test.second))
        for kind, (ours, theirs) in KINDS.items()
    }
    areas = {kind: auc_interval_by_person(found, test.who) for kind, found in distances.items()}
    for kind, area in areas.items():
        print(f"{name}, {kind}: AUC {area.estimate:.4f} ({area.low:.4f} to {area.high:.4f})", flush=True)
    known = {case: describe(photo(paths[case]["clean"])) for case in train.cases}
    cut = best_threshold(distance(stacked(known, train.first), stacked(known, train.second)), train.who.same)
    return figures(name, distances, test.who, cut)


def figures(
    name: str, distances: Mapping[str, NDArray[np.float64]], who: ImagePairs, cut: float
) -> list[dict[str, object]]:
    """Rows of one reader, one for each kind of image."""
    rows: list[dict[str, object]] = []
    for kind, found in distances.items():
        area = auc_interval_by_person(found, who)
        row: dict[str, object] = {"reader": name, "images": kind, "pairs": len(who), "people": who.count}
        row |= {"auc": area.estimate, "auc_low": area.low, "auc_high": area.high}
        if kind != "clean":
            lost = auc_difference_by_person(distances["clean"], found, who).interval
            row |= {"lost": lost.estimate, "lost_low": lost.low, "lost_high": lost.high}
        row["equal_error_rate"] = float(roc_curve(found, who.same).equal_error_rate)
        row["accuracy"] = float(accuracy(found, who.same, cut))
        rows.append(row)
    return rows


def choose(folder: Path, pairs: int, images: int, out: Path) -> None:
    """AUC of clean pairs of ``pairsDevTrain`` by setting."""
    lists = {name: read_list(find_list(None, NAMES[name], folder)) for name in NAMES}
    people = find_images(folder)
    paths = {path.stem: path for found in people.values() for path in found}
    train = some(lists["train"], pairs)
    known = lists["train"].people | lists["test"].people
    others = [path.stem for person, found in people.items() if person not in known for path in found]
    others = [others[k * len(others) // images] for k in range(min(images, len(others)))]
    whole = {case: photo(paths[case]) for case in [*train.cases, *others]}
    rows: list[dict[str, object]] = []
    for name, setting, edge, made in variants():
        cut = {case: middle(values, edge) for case, values in whole.items()}
        reader = fit_photo_readers(
            [partial(cut.__getitem__, case) for case in others], {name: made}, (edge, edge), people=len(others)
        )[name]
        seen = {case: reader.descriptor(cut[case]) for case in train.cases}
        near = -reader.distance(stacked(seen, train.first), stacked(seen, train.second))
        rows.append({"reader": name, "setting": setting, "auc": float(auc(near, train.who.same))})
        print(f"{name}, {setting}: {rows[-1]['auc']:.4f}", flush=True)
        write(out / "settings.csv", ("reader", "setting", "auc"), rows)


def variants() -> Iterable[tuple[str, str, int, ReaderRecipe]]:
    """Reader, what is another than usual, edge of the crop, how it is made."""
    for name, usual in RECIPES.items():
        yield name, "as it is", 128, usual
        for edge in (96, 112, 144):
            yield name, f"crop {edge}", edge, usual
        yield name, "whitening of power 1", 128, replace(usual, power=1.0)
        yield name, "no whitening", 128, replace(usual, power=0.0)
    lbp, faces = RECIPES["lbp"], RECIPES["eigenfaces"]
    yield "lbp", "one radius, 2", 128, replace(lbp, features=replace(lbp.features, radii=(2.0,)))
    yield "lbp", "7 regions", 128, replace(lbp, features=replace(lbp.features, regions=7))
    yield "lbp", "13 regions", 128, replace(lbp, features=replace(lbp.features, regions=13))
    yield ("eigenfaces", "neighbourhood 4", 128, replace(faces, features=replace(faces.features, neighbourhood=4.0)))
    yield "eigenfaces", "200 components", 128, replace(faces, components=200)
    yield "eigenfaces", "edge 32", 128, replace(faces, features=replace(faces.features, edge=32))


def listed_of(cohort: Path) -> dict[str, Listed]:
    """The pairs of both lists, from the cohort's ``verification.csv``."""
    with (cohort / "verification.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    subjects = {row.case: row.subject for row in read_pairs(cohort)}
    found = {}
    for name in NAMES:
        first, second = (tuple(row[side] for row in rows if row["set"] == name) for side in ("first", "second"))
        who = ImagePairs.from_people([subjects[case] for case in first], [subjects[case] for case in second])
        found[name] = Listed(first, second, who)
    return found


def some(pairs: PairList, count: int) -> Listed:
    """So many pairs of a list, evenly chosen, as many of one person as of two."""
    chosen = []
    for same in (True, False):
        alike = [pair for pair in pairs.pairs if pair.same is same]
        wanted = min(count // 2, len(alike))
        chosen += [alike[k * len(alike) // wanted] for k in range(wanted)]
    who = ImagePairs.from_people([pair.first[0] for pair in chosen], [pair.second[0] for pair in chosen])
    return Listed(tuple(case_of(pair.first) for pair in chosen), tuple(case_of(pair.second) for pair in chosen), who)


def photo(path: Path | None) -> Array:
    assert path is not None  # a cohort of LFW has all of them
    return read_volume(path).data[:, :, 0]


def middle(values: Array, edge: int) -> Array:
    x, y = ((length - edge) // 2 for length in values.shape)
    return values[x : x + edge, y : y + edge]


def stacked(seen: Mapping[str, Array], cases: Sequence[str]) -> Array:
    return np.stack([seen[case] for case in cases])


def write(path: Path, fields: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fields, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.5f}" if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main()
