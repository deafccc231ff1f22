"""Split-conformal prediction: what the clean image would have said, from the restored one, with a promise.

With n calibration subjects that are exchangeable with the new one, the interval (or set of labels) holds the truth
with probability at least 1 − α, whatever the restorer, the judge and the distribution are (Vovk, Gammerman and
Shafer 2005, 10.1007/b106715; Lei et al. 2018, 10.1080/01621459.2017.1307116). The promise is on average over
subjects, not for each one, and it holds for subjects like those that calibrated.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml, write_yaml

FORMAT = 1
_POOLED = "all"


def conformal_quantile(scores: Sequence[float], alpha: float) -> float:
    """The ⌈(n + 1)(1 − α)⌉-th smallest of n calibration subjects' scores; infinite where there is none.

    Nothing is then excluded. ``alpha`` is the share of misses allowed, 0 to 1.
    """
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - 1e-9)  # .9 · 10 is 9, also in binary
    return sorted(scores)[rank - 1] if 1 <= rank <= len(scores) else math.inf


def min_calibration_subjects(alpha: float) -> int:
    """Fewest calibration subjects for which an interval of level 1 − α is finite: ⌈1/α⌉ − 1."""
    return math.ceil(1 / alpha - 1e-9) - 1


@dataclass(frozen=True)
class ConformalCalibration:
    """The scores of calibration subjects, which is all that a new image needs.

    ``ConformalCalibration.load("audit/conformal.yaml").interval(1.31)`` is the interval of the clean image's SUVR
    for a restored image whose SUVR is 1.31.

    Attributes:
        target: ``SUVR``, or the name of the judge.
        kind: ``interval`` (a value) or ``labels`` (a set of labels).
        alpha: Share of misses allowed.
        scores: Scores by label ``0``, ``1``, … (Mondrian: each label is covered by itself), or pooled under ``all``.
            |truth − value| for intervals, 1 − probability of the true label for labels.
        provenance: What else is known: the judge and, of several labels or masks, which ``output``; the names of
            the ``classes``; how many ``subjects`` there were, where some have several labels.
    """

    target: str
    kind: Literal["interval", "labels"]
    alpha: float
    scores: Mapping[str, tuple[float, ...]]
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_values(
        cls, restored: ArrayLike, truth: ArrayLike, *, alpha: float, target: str = "SUVR", **provenance: Any
    ) -> "ConformalCalibration":
        """Calibrate an interval by values (n,) of restored images, one a subject, and of the clean ones."""
        gap = np.abs(np.asarray(truth, dtype=np.float64) - np.asarray(restored, dtype=np.float64))
        return cls(target, "interval", alpha, {_POOLED: _as_floats(gap)}, provenance)

    @classmethod
    def from_labels(
        cls,
        probability: ArrayLike,
        label: ArrayLike,
        *,
        alpha: float,
        target: str,
        by_class: bool = True,
        **provenance: Any,
    ) -> "ConformalCalibration":
        """Calibrate sets of labels.

        Args:
            probability: (n,) the judge's probability of label 1 in the restored image, one a subject; (n, classes) of
                every class.
            label: (n,) 0 or 1, or the class.
            alpha, target, provenance: As the attributes.
            by_class: Calibrate each label by itself; where False all subjects together, and the rarer label may be
                covered less.
        """
        p = _label_probabilities(probability)
        y = np.asarray(label, dtype=np.float64).round().astype(np.intp)
        score = 1 - p[np.arange(len(y)), y]
        groups = {str(k): y == k for k in range(p.shape[1])} if by_class else {_POOLED: y >= 0}
        return cls(target, "labels", alpha, {k: _as_floats(score[v]) for k, v in groups.items()}, provenance)

    def interval(self, value: float) -> tuple[float, float]:
        """Where the clean image's value lies, for the value of a restored one.

        Raises:
            ValueError: If this calibrates labels.
        """
        if self.kind != "interval":
            raise ValueError(f"{self.target} is calibrated for labels, expected a value")
        half = conformal_quantile(self.scores[_POOLED], self.alpha)
        return value - half, value + half

    def labels(self, probability: ArrayLike) -> frozenset[int]:
        """The labels that are not excluded: one is a decision; several, or none, is an abstention.

        Args:
            probability: Of label 1, as the judge reads the restored image; (classes,) of every class.

        Raises:
            ValueError: If this calibrates values.
        """
        if self.kind != "labels":
            raise ValueError(f"{self.target} is calibrated for values, expected labels")
        groups, pooled = self.scores, self.scores.get(_POOLED, ())
        one = _label_probabilities(np.asarray(probability, dtype=np.float64)[None])[0]
        return frozenset(
            k for k, p in enumerate(one) if 1 - p <= conformal_quantile(groups.get(str(k), pooled), self.alpha)
        )

    @property
    def judge(self) -> str:
        """Whose readings it is for: the target, unless that names one of several outputs."""
        return str(self.provenance.get("judge", self.target))

    def label_name(self, label: int) -> str:
        """A label in words."""
        classes = self.provenance.get("classes") or ("negative", "positive")
        return str(classes[label]) if label < len(classes) else f"class {label}"

    @property
    def subjects(self) -> int:
        """Calibration subjects; one with cases of several labels, each calibrated by itself, counts once."""
        return int(self.provenance.get("subjects") or sum(len(group) for group in self.scores.values()))

    @property
    def shortage(self) -> str:
        """Empty, or a sentence that says how many calibration subjects the level would need."""
        least = min_calibration_subjects(self.alpha)
        short = {k: len(v) for k, v in self.scores.items() if len(v) < least}
        if not short:
            return ""
        names = {k: "" if k == _POOLED else self.label_name(int(k)) for k in short}
        have = " and ".join(f"{count} {names[k]}".strip() for k, count in short.items())
        each = " of each label" if _POOLED not in self.scores else ""
        return (
            f"{self.target}: {have} calibration subjects cannot promise {100 * (1 - self.alpha):g} %: "
            f"at least {least}{each} are needed (or a larger --alpha); until then nothing is excluded"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML."""
        return {
            "target": self.target,
            "kind": self.kind,
            "alpha": self.alpha,
            "scores": {k: list(v) for k, v in self.scores.items()},
            "provenance": dict(self.provenance),
        }

    @classmethod
    def load(cls, path: Path | str, target: str | None = None) -> "ConformalCalibration":
        """Read the calibration of a target (the first where None) from ``conformal.yaml``, or the audit that holds it.

        Raises:
            UserError: If the file is missing, is no calibration or has no such target.
        """
        calibrations = read_calibrations(Path(path))
        if target is None:
            return next(iter(calibrations.values()))
        if target not in calibrations:
            raise UserError(f"{path} calibrates {', '.join(calibrations)}, not {target!r}")
        return calibrations[target]


def write_calibrations(path: Path, calibrations: Sequence[ConformalCalibration], metadata: Mapping[str, Any]) -> None:
    """Write ``conformal.yaml`` atomically; ``about`` is whom and what it was calibrated on."""
    write_yaml(path, {"format": FORMAT, **metadata, "calibrations": [c.to_dict() for c in calibrations]})


def read_calibrations(place: Path) -> dict[str, ConformalCalibration]:
    """All calibrations of a file, by target.

    Raises:
        UserError: If it is missing or is none.
    """
    path = place / "conformal.yaml" if place.is_dir() else place
    values = read_yaml(path)
    if values.get("format") != FORMAT or not values.get("calibrations"):
        raise UserError(f"{path} holds no conformal calibration of format {FORMAT}; expected one that audit wrote")
    calibrations = {}
    try:
        for one in values["calibrations"]:
            scores = {str(k): tuple(float(s) for s in v) for k, v in one["scores"].items()}
            if one["kind"] not in ("interval", "labels") or not 0 < float(one["alpha"]) < 1:
                raise ValueError(f"kind {one['kind']!r} or alpha {one['alpha']!r}")
            calibrations[str(one["target"])] = ConformalCalibration(
                str(one["target"]), one["kind"], float(one["alpha"]), scores, one.get("provenance") or {}
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is not a conformal calibration: {error!r}") from None
    return calibrations


def _label_probabilities(probability: ArrayLike) -> NDArray[np.float64]:
    """(n, labels) from (n, labels), or from (n,) probabilities of label 1."""
    p = np.asarray(probability, dtype=np.float64)
    return p if p.ndim == 2 else np.stack([1 - p, p], axis=1)


def _as_floats(scores: Any) -> tuple[float, ...]:
    return tuple(float(s) for s in np.sort(scores))
