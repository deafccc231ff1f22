"""A recogniser of every kind learns from clean slices, is kept, and reads what it learnt."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.core.errors import UserError
from taskgan.judges.figures import THRESHOLD, verification_metrics
from taskgan.judges.fit import fit_recogniser
from taskgan.judges.recogniser import Recogniser as Reader
from taskgan.judges.store import recogniser_folder, recogniser_for
from taskgan.judges.volumes import CleanSlices, CleanVolume
from taskgan.recipe import Data, RecogniserSettings, Target

SIZE = 16


def volumes(kind: str, prefix: str, subjects: int, seed: int) -> CleanSlices:
    """A bar in the left half and one in the right, each there or not, at a height that is the subject's own."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(subjects):
        left, right = k % 2, (k // 2) % 2
        strength = 0.5 + 0.25 * (k % 5)
        slices = 0.1 * rng.random((6, SIZE, SIZE), dtype=np.float32)
        row = 1 + k % 12
        slices[:, row : row + 3, 2:6] += left * strength
        slices[:, row : row + 3, 10:14] += right * strength
        slices[:, 14, :] += k % 3
        label: float | NDArray[np.float32] = {
            "binary": float(left),
            "multi_class": float(k % 3),
            "multi_label": np.array([left, right], dtype=np.float32),
            "regression": float(slices.mean()),
            "segmentation": (slices > 0.4).astype(np.float32),
            "embedding": float(k),
        }[kind]
        made.append(CleanVolume(f"{prefix}{k}", label, slices))
    return CleanSlices(tuple(made))


TARGETS: dict[str, Target] = {
    "multi_class": Target(kind="multi_class", labels=("grade",), classes=3),
    "multi_label": Target(kind="multi_label", labels=("left", "right")),
    "regression": Target(kind="regression", labels=("mean",), centre=0.15, scale=0.1, cut=0.15),
    "segmentation": Target(kind="segmentation", labels=("bars",)),
    "embedding": Target(kind="embedding", labels=("subject",), size=8),
}
# What a few steps must reach on subjects that were not learnt from; saying the same for all is far worse.
ENOUGH = {"multi_class": 0.35, "multi_label": 0.35, "regression": 0.05, "segmentation": 0.35, "embedding": 1.0}


def settings_of(kind: str, **more: Any) -> RecogniserSettings:
    values = {
        "network": "unet" if kind == "segmentation" else "convnet",
        "width": 4,
        "steps": 60 if kind in ("segmentation", "embedding") else 120,
        "batch_size": 16,
        "lr": 1e-2,
        "validate_every": 30,
        "patience": 0,
        "dropout": 0.0,
        "augment": {"flip": False, "shift": 0},
    }
    return RecogniserSettings.model_validate(values | more)


@pytest.mark.parametrize("kind", sorted(TARGETS))
def test_it_reads_subjects_that_it_did_not_learn_from(kind: str, tmp_path: Path) -> None:
    train, val = volumes(kind, "t", 12, 0), volumes(kind, "v", 6, 1)
    reader = fit_recogniser(settings_of(kind), train, val, title="task", target=TARGETS[kind])
    found = reader.card.validation
    assert found.slice_mae < ENOUGH[kind]
    assert np.isfinite(found.loss)
    read = reader.read(val.volumes[0].slices)
    shape = {"regression": (), "segmentation": (2, SIZE, SIZE)}.get(kind, (reader.card.outputs,))
    assert read.shape == (6, *shape)
    reader.save(tmp_path / "kept")
    loaded = Reader.load(tmp_path / "kept")
    assert loaded.card.target == reader.card.target
    np.testing.assert_allclose(loaded.read(val.volumes[0].slices), read, atol=1e-5)  # another memory format


def test_one_class_that_nobody_has_is_named() -> None:
    train, val = volumes("multi_class", "t", 2, 0), volumes("multi_class", "v", 3, 1)
    with pytest.raises(UserError, match="expected 0, 1 and 2"):
        fit_recogniser(settings_of("multi_class"), train, val, title="task", target=TARGETS["multi_class"])


def test_an_identity_gets_the_distance_that_tells_the_validation_subjects_apart() -> None:
    train, val = volumes("embedding", "t", 6, 0), volumes("embedding", "v", 4, 1)
    target = TARGETS["embedding"]
    few = settings_of("embedding", steps=20)
    reader = fit_recogniser(few, train, val, title="judge", target=target)
    assert reader.card.target.cut == reader.card.validation.outputs[THRESHOLD]
    given = target.model_copy(update={"cut": 0.4})
    assert fit_recogniser(few, train, val, title="judge", target=given).card.target.cut == 0.4


def test_verification_of_known_descriptors() -> None:
    from taskgan.objective.kinds import task_kind

    kind = task_kind(TARGETS["embedding"].model_copy(update={"size": 2}), "squared")
    apart = verification_metrics(kind, [torch.tensor([[1.0, 0], [2, 0]]), torch.tensor([[0.0, 1], [0, 3]])], [0, 1])
    assert (apart.auc, apart.volume_error, apart.slice_mae) == (1.0, 0.0, 0.0)
    assert 0 < apart.outputs[THRESHOLD] < 2**0.5
    mixed = verification_metrics(kind, [torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([[1.0, 0], [0, 1]])], [0, 1])
    assert mixed.auc == 0.25  # both of one identity are apart, half of the others are not
    assert mixed.loss > apart.loss


@pytest.fixture
def labelled(cohort: Pairs) -> Pairs:
    """The cohort with further columns; its masks are its clean images' rims."""
    rows = [
        dict(pair.columns) | {"suvr": 1.1 + 0.3 * k % 2, "side": k % 2, "grade": (k // 2) % 3}
        for k, pair in enumerate(cohort)
    ]
    write_pairs(cohort.source, rows)
    return read_pairs(cohort.folder)


def test_what_is_kept_goes_by_the_property(labelled: Pairs) -> None:
    data, quick = Data(select={"dose": 1}), settings_of("regression", steps=2)

    def place(target: Target | None = None, pairs: Pairs = labelled, loss: str = "proper") -> Path:
        settings = quick.model_copy(update={"loss": loss})
        return recogniser_folder(pairs, settings, data, name="task", target=target)

    suvr = Target(kind="regression", labels=("suvr",))
    places = [
        place(),
        place(suvr),
        place(suvr.model_copy(update={"cut": 1.2})),
        place(Target(labels=("side",))),
        place(suvr, loss="squared"),
        place(loss="squared"),
    ]
    assert len(set(places)) == len(places)
    assert place(Target()) == place()
    told = recogniser_for(labelled, quick, data, name="task", target=suvr)
    assert told.card.target.scale is not None  # what the recipe left open is written down
    resolved = place(suvr.model_copy(update={"centre": told.card.target.centre, "scale": told.card.target.scale}))
    assert resolved == place(suvr)
    rows = [dict(pair.columns) for pair in labelled]
    rows[0]["suvr"] = "1.9"
    write_pairs(labelled.source, rows)
    assert place(suvr, read_pairs(labelled.folder)) != places[1]
    assert place(None, read_pairs(labelled.folder)) == places[0]
