"""How often the 95 % intervals of a reader study hold the truth, in studies that the Roe-Metz model simulates.

    python experiments/mrmc_coverage.py                          # results/mrmc/coverage.json, a minute of one core
    python experiments/mrmc_coverage.py --ratings vandyke.csv    # results/mrmc/van-dyke.json from the ratings

The ratings are ``write.csv(MRMCaov::VanDyke, "vandyke.csv")`` of the R package: columns reader, treatment, case,
truth, rating. They are not copied here; the SHA-256 of the file that was read stands in the result.
"""

import argparse
import csv
import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from taskgan.core.files import versions, write_json
from taskgan.stats import RoeMetz, obuchowski_rockette, reader_figures, roe_metz

ROOT = Path(__file__).parents[1]
SEED = 2017
STUDIES = 2000
Floats = NDArray[np.float64]
AUCS = (0.80, 0.88)
# Shares of case and noise after Roe and Metz (1997): cases and readers that are much, or little, alike over methods.
PEOPLE = {
    "alike": RoeMetz(reader=0.011, method_reader=0.011, case=0.3, method_case=0.3, reader_case=0.2, noise=0.2),
    "unlike": RoeMetz(reader=0.03, method_reader=0.03, case=0.1, method_case=0.1, reader_case=0.2, noise=0.6),
    "same readers": RoeMetz(reader=0.0, method_reader=0.0, case=0.3, method_case=0.3, reader_case=0.2, noise=0.2),
}
# Who, readers, negatives, positives, design, covariance, what is random, figure.
SETTINGS = [
    ("alike", 3, 25, 25, "crossed", "delong", "both", "auc"),
    ("alike", 5, 25, 25, "crossed", "delong", "both", "auc"),
    ("alike", 5, 25, 25, "crossed", "jackknife", "both", "auc"),
    ("alike", 10, 50, 50, "crossed", "delong", "both", "auc"),
    ("unlike", 5, 25, 25, "crossed", "delong", "both", "auc"),
    ("unlike", 5, 50, 50, "crossed", "delong", "both", "auc"),
    ("alike", 6, 50, 50, "split-plot", "delong", "both", "auc"),
    ("unlike", 6, 50, 50, "split-plot", "delong", "both", "auc"),
    ("alike", 5, 100, 100, "cases nested in readers", "delong", "both", "auc"),
    ("alike", 5, 50, 50, "readers nested in methods", "delong", "both", "auc"),
    ("alike", 5, 50, 50, "other cases of each method", "delong", "both", "auc"),
    ("same readers", 5, 25, 25, "crossed", "delong", "cases", "auc"),
    ("same readers", 1, 50, 50, "crossed", "delong", "cases", "auc"),
    ("alike", 5, 50, 50, "crossed", "delong", "both", "error"),
    ("alike", 5, 50, 50, "crossed", "delong", "both", "sensitivity"),
]


def simulated(
    people: RoeMetz, readers: int, negatives: int, positives: int, design: str, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """(2, R, N) ratings, NaN where the design has no reading, and (N,) truth."""
    separations = tuple(people.separation(auc) for auc in AUCS)
    if design == "readers nested in methods":
        ratings, truth = roe_metz(people, separations, 2 * readers, negatives, positives, rng=rng)
        return np.stack([ratings[0, :readers], ratings[1, readers:]]), truth
    ratings, truth = roe_metz(people, separations, readers, negatives, positives, rng=rng)
    place = np.concatenate([np.arange(negatives), np.arange(positives)])  # blocks hold both kinds
    for method in range(2):
        for reader in range(readers):
            unread = {
                "split-plot": place % 2 != reader % 2,
                "cases nested in readers": place % readers != reader,
                "other cases of each method": place % 2 != method,
            }.get(design)
            if unread is not None:
                ratings[method, reader, unread] = np.nan
    return ratings, truth


def expected(people: RoeMetz, figure: str, share: float) -> list[float]:
    """Mean figure over readers and cases of each method; decisions cut half-way between the first method's kinds."""
    if figure == "auc":
        return list(AUCS)
    cut, spread = people.separation(AUCS[0]) / 2, np.sqrt(people.total)
    sensitivity = [float(stats.norm.sf((cut - people.separation(auc)) / spread)) for auc in AUCS]
    if figure == "sensitivity":
        return sensitivity
    false = float(stats.norm.sf(cut / spread))
    return [share * (1 - s) + (1 - share) * false for s in sensitivity]


def coverage(setting: tuple[str, int, int, int, str, str, str, str], studies: int, seed: int) -> dict[str, object]:
    """Share of studies whose interval of the difference, and of the first method, holds the truth."""
    who, readers, negatives, positives, design, covariance, random, figure = setting
    people, rng = PEOPLE[who], np.random.default_rng(seed)
    truths = expected(people, figure, positives / (negatives + positives))
    held, held_first, widths = 0, 0, []
    for _ in range(studies):
        ratings, truth = simulated(people, readers, negatives, positives, design, rng)
        if figure != "auc":
            cut = people.separation(AUCS[0]) / 2
            ratings = np.where(np.isnan(ratings), np.nan, ratings > cut)
        figures = reader_figures(ratings, truth, figure=figure, covariance=covariance)
        study = obuchowski_rockette(figures, random=random, paired_readers=design != "readers nested in methods")
        interval, first = study.differences[0, 1].interval, study.methods[0]
        held += interval.low <= truths[0] - truths[1] <= interval.high
        held_first += first.low <= truths[0] <= first.high
        widths.append(interval.high - interval.low)
    keys = ("people", "readers", "negatives", "positives", "design", "covariance", "random", "figure")
    return {
        **dict(zip(keys, setting, strict=True)),
        "difference": held / studies,
        "first_method": held_first / studies,
        "mean_width": round(float(np.mean(widths)), 4),
    }


def van_dyke(ratings: Path) -> dict[str, object]:
    """The analysis of a file of ratings, by each covariance and each thing that may be random."""
    with ratings.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = {key: sorted({row[key] for row in rows}) for key in ("treatment", "reader", "case")}
    scores = np.full([len(n) for n in names.values()], np.nan)
    truth = np.zeros(len(names["case"]))
    for row in rows:
        place = tuple(names[key].index(row[key]) for key in names)
        scores[place], truth[place[2]] = float(row["rating"]), float(row["truth"])
    results: dict[str, object] = {}
    for covariance in ("jackknife", "delong", "bootstrap"):
        figures = reader_figures(scores, truth, covariance=covariance)
        results["values"] = figures.values.round(8).tolist()
        for random in ("both", "cases", "readers"):
            study = obuchowski_rockette(figures, random=random)
            found = study.differences[0, 1]
            results[f"{covariance}, random {random}"] = {
                "f": study.f,
                "freedom": None if np.isinf(study.freedom[1]) else study.freedom[1],
                "p": study.p,
                "difference": asdict(found.interval),
                "methods": [asdict(m) for m in study.methods],
            }
        results[f"{covariance}, components"] = asdict(study.components)
    return {"file": ratings.name, "sha256": hashlib.sha256(ratings.read_bytes()).hexdigest(), **results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=STUDIES, help="simulated studies of each setting")
    parser.add_argument("--ratings", type=Path, help="analyse these ratings instead of simulating")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "mrmc")
    given = parser.parse_args()
    head = {"versions": {k: v for k, v in versions().items() if k in ("taskgan", "python", "numpy", "scipy")}}
    if given.ratings:
        command = f"python experiments/mrmc_coverage.py --ratings {given.ratings.name}"
        write_json(given.out / "van-dyke.json", {"command": command, **head, **van_dyke(given.ratings)})
        return
    rows = []
    for i, setting in enumerate(SETTINGS):
        rows.append(coverage(setting, given.studies, SEED + i))
        print(rows[-1], flush=True)
    command = f"python experiments/mrmc_coverage.py --studies {given.studies}"
    people = {name: asdict(p) for name, p in PEOPLE.items()}
    head |= {"seed": SEED, "studies": given.studies, "aucs": list(AUCS), "people": people}
    write_json(given.out / "coverage.json", {"command": command, **head, "settings": rows})


if __name__ == "__main__":
    main()
