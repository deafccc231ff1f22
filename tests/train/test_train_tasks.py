"""Several tasks at once: the step against Eq. 3 and 4, and the whole path."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from small_steps import PLAIN, flat
from taskgan.audit.verb import audit
from taskgan.cohort.dataset import Batch
from taskgan.cohort.pairs import read_pairs, write_pairs
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import read_yaml
from taskgan.evaluate.run import evaluate
from taskgan.info.describe import describe
from taskgan.model.folder import read_model
from taskgan.recipe import Recipe
from taskgan.report.run import compare
from taskgan.restore.run import restore
from taskgan.sweep.folder import run_digest
from taskgan.train.devices import start_fabric
from taskgan.train.metrics import read_metrics
from taskgan.train.networks import Networks, build_networks, build_task
from taskgan.train.run import train
from taskgan.train.step import task_step, train_step

Make = Callable[..., Recipe]
RING: dict[str, Any] = {
    "kind": "segmentation",
    "labels": "ring",
    "loss": "proper",
    "training": "frozen",
    "pretrain": {"network": "unet", "width": 4, "steps": 3},
}
LABEL: dict[str, Any] = {
    "name": "grade",
    "weight": 0.5,
    "training": "joint",
    "features": 0.1,
    "pretrain": {"network": "resnet10", "width": 4, "steps": 3},
    "judge": {"network": "convnet", "width": 4, "seed": 1000, "steps": 3},
}
JUDGE = {"network": "dilated", "width": 4, "seed": 1000, "steps": 3}


@pytest.fixture
def ringed(tmp_path: Path, make_cohort: Callable[..., Path]) -> Path:
    """The cohort of these tests with a mask of what is bright."""
    folder = make_cohort(tmp_path / "cohort", subjects={"train": 4, "val": 2, "test": 3})
    rows = []
    for pair in read_pairs(folder):
        assert pair.clean is not None
        image = nib.load(pair.clean)  # type: ignore[attr-defined]
        data = image.get_fdata()
        ring = (data > 0.5 * data.max()).astype(np.uint8)
        nib.save(nib.Nifti1Image(ring, image.affine), folder / f"{pair.case}_ring.nii.gz")  # type: ignore[attr-defined]
        rows.append({**pair.columns, "ring": f"{pair.case}_ring.nii.gz"})
    write_pairs(folder / "pairs.csv", rows)
    return folder


def a_batch() -> Batch:
    draw = torch.Generator().manual_seed(1)
    images = torch.rand(4, 2, 16, 16, generator=draw)
    masks = torch.rand(4, 16, 16, generator=draw).round()
    return Batch(images[:, :1], images[:, 1:], masks, (torch.tensor([0.0, 1.0, 0.0, 1.0]),))


def networks_of(asked: Recipe) -> tuple[Networks, Any]:
    fabric = start_fabric(asked.machine, "32")
    tasks = {name: build_task(task) for name, task in asked.taught_by.items()}
    return build_networks(asked, tasks, fabric, PLAIN), fabric


def test_a_step_is_eq_4_with_the_weighted_sum_of_eq_3(recipe: Make) -> None:
    asked = recipe(objective="task_gan", task=[RING, LABEL], judge=JUDGE, loss__lambda_gan=0, loss__mu_task=0.7)
    asked = asked.model_copy(update={"optimiser": asked.optimiser.model_copy(update={"clip": 0.0})})
    networks, fabric = networks_of(asked)
    batch = a_batch()
    G, ring, grade = networks.generator, networks.tasks["task"], networks.tasks["task_grade"]
    torch.manual_seed(0)
    restored = G(batch.inputs)
    (answer, inner), (answer_x, inner_x) = grade(restored), grade(batch.clean)
    y, masks = batch.further[0], batch.label
    squared = ((answer.sigmoid()[:, 0] - y) ** 2).mean() + ((answer_x.sigmoid()[:, 0] - y) ** 2).mean()
    logits = ring(restored)[0]
    share = logits.softmax(dim=1)[:, 1]
    dice = 2 * (share * masks).sum(dim=(1, 2)) / (share + masks).sum(dim=(1, 2))
    proper = F.cross_entropy(logits, masks.long()) + (1 - dice).mean()
    distance = torch.stack(
        [
            ((a - b.detach()).square().flatten(1).mean(1) / b.detach().square().flatten(1).mean(1)).mean()
            for a, b in zip(inner, inner_x, strict=True)
        ]
    ).mean()
    whole = (restored - batch.clean).abs().mean() + 0.7 * proper + 0.7 * 0.5 * squared + 0.1 * distance
    expected = torch.autograd.grad(whole, list(G.parameters()), retain_graph=True)
    taught = torch.autograd.grad(squared, list(grade.parameters()))
    before = flat(ring).clone()

    torch.manual_seed(0)
    losses = train_step(networks, batch, asked, fabric).losses
    assert set(losses) == {"pixel", "task", "task_grade", "task_features_grade", "total"}
    torch.testing.assert_close(losses["total"], whole.detach())
    torch.testing.assert_close(losses["task_grade"], squared.detach())
    assert networks.weights.keys() == {"generator", "task_grade"}
    for name, wanted in (("generator", expected), ("task_grade", taught)):
        for parameter, gradient in zip(networks.weights[name], wanted, strict=True):
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)
    assert torch.equal(flat(ring), before)


def test_alone_every_joint_task_learns_by_its_own_loss(recipe: Make) -> None:
    both = [RING | {"training": "joint"}, LABEL]
    networks, fabric = networks_of(recipe(objective="task_gan", task=both, judge=JUDGE))
    learners = networks.with_learners({"task", "task_grade"})
    before = {name: flat(network).clone() for name, network in networks.by_name().items()}
    asked = recipe(objective="task_gan", task=both, judge=JUDGE)
    losses = task_step(learners, a_batch(), asked, fabric).losses
    assert set(losses) == {"task", "task_grade"}
    moved = {name for name, network in networks.by_name().items() if not torch.equal(flat(network), before[name])}
    assert moved == {"task", "task_grade"}


def test_trains_restores_judges_and_sweeps_two_tasks(ringed: Path, tmp_path: Path, recipe: Make) -> None:
    asked = recipe(
        objective="task_gan",
        task=[RING, LABEL],
        judge=JUDGE,
        optimiser={"batch_size": 4},
        schedule=[{"name": "alone", "steps": 2, "trains": "task"}, {"name": "all", "steps": 4}],
        validation={"every": 2, "save_every": 2},
    )
    run = tmp_path / "run"
    train(asked, ringed, run)
    first, *_, last = read_metrics(run / "metrics.csv")
    assert (first["phase"], last["phase"]) == ("alone", "all")
    assert "" not in (first["val_task_clean"], first["val_task_clean_grade"])
    assert not first["val_psnr"]
    figures = [float(last[c]) for c in ("task", "task_grade", "task_features_grade", "val_task_mae_grade")]
    assert np.isfinite(figures).all()
    assert last["task_features"] == ""
    state = torch.load(run / "last.ckpt", weights_only=True)
    assert set(state["networks"]) == {"generator", "discriminator", "task_grade"}
    assert set(state["frozen"]) == {"task"}
    kept = {folder.name.partition("-")[0] for folder in (ringed / "derivatives" / "recognisers").iterdir()}
    assert kept == {"task"}  # one for each property
    assert len(list((ringed / "derivatives" / "recognisers").iterdir())) == 2
    _, card = read_model(run)
    assert [task.title for task in (card.task, *card.task.others)] == ["ring", "grade"]
    text = describe(run / "model")
    assert "segmentation (column ring); binary (grade, column label)" in text

    restore(run / "model", [ringed / "pairs.csv"], tmp_path / "restored", split="test")
    rings = evaluate(tmp_path / "restored", ringed, tmp_path / "rings")
    grades = evaluate(tmp_path / "restored", ringed, tmp_path / "grades", task="grade")
    assert read_yaml(rings / "evaluation.yaml")["property"]["kind"] == "segmentation"
    record = read_yaml(grades / "evaluation.yaml")
    assert (record["property"]["kind"], record["readers"]["judge"]["network"]) == ("binary", "convnet")
    with (grades / "readings.csv").open() as handle:
        assert {row["output"] for row in csv.DictReader(handle)} == {"label"}
    with pytest.raises(UserError, match="there is no task 'age', expected one of ring, grade"):
        evaluate(tmp_path / "restored", ringed, tmp_path / "ages", task="age")
    with pytest.raises(UserError, match="different properties"):
        compare([rings, grades], tmp_path / "report")
    done = audit(tmp_path / "restored", ringed, tmp_path / "audit", task="grade")
    assert "--task grade" in read_yaml(tmp_path / "audit" / "audit.yaml").get("command", "--task grade")
    assert done.outcome is not None
    segmenter = next((ringed / "derivatives" / "recognisers").glob("task-*"), None)
    assert segmenter is not None
    with pytest.raises((Problems, UserError)):  # no T of the restorer is its judge, whichever property is audited
        audit(tmp_path / "restored", ringed, tmp_path / "again", judges=[segmenter], task="grade")


def test_a_weight_of_a_further_task_is_a_setting_of_a_sweep(recipe: Make) -> None:
    asked, other = (recipe(task=[RING, LABEL | {"weight": w}], judge=JUDGE) for w in (0.5, 2.0))
    assert run_digest(asked) != run_digest(other)
    of_gan = [run_digest(one.model_copy(update={"objective": "gan"})) for one in (asked, other)]
    assert of_gan[0] == of_gan[1]


def test_what_is_wrong_with_a_further_task_is_found_before_anything_is_trained(
    cohort: Path, tmp_path: Path, recipe: Make
) -> None:
    asked = recipe(objective="task_gan", task=[LABEL | {"judge": None}, RING | {"judge": JUDGE}])
    with pytest.raises(Problems, match="there is no column ring"):
        train(asked, cohort, tmp_path / "run")
    assert not (tmp_path / "run" / "recipe.yaml").exists()
    train(asked.model_copy(update={"objective": "gan"}), cohort, tmp_path / "gan")  # which asks nothing of it
