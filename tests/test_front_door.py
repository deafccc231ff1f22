"""``import taskgan``: what a notebook may use, in any order of imports, with plain paths and networks of its own."""

import ast
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

import taskgan
from small_models import write
from taskgan.recipe import Recipe, dump_recipe, parse_recipe

Network = Callable[..., nn.Module]
TINY: dict[str, Any] = {
    "generator": {"width": 4, "max_width": 8, "depth": 3, "norm": "instance", "dropout_layers": 1},
    "discriminator": {"widths": [4, 8], "norm": "instance"},
    "task": {"training": "joint", "pretrain": {"network": "resnet10", "width": 4, "steps": 2, "batch_size": 4}},
    "judge": {"network": "convnet", "width": 4, "steps": 2, "batch_size": 4, "seed": 1000},
    "loss": {"lambda_gan": 0.1, "mu_task": 0.1},
    "optimiser": {"steps": 2, "batch_size": 2, "lr": 1e-3, "ema": 0.9},
    "validation": {"every": 1, "save_every": 1},
    "machine": {"accelerator": "cpu", "precision": "32", "channels_last": False, "compile": False},
}


def in_a_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_it_is_cheap() -> None:
    code = "import time; start = time.perf_counter(); import taskgan; print(time.perf_counter() - start)"
    assert min(float(in_a_new_process(code)) for _ in range(3)) < 0.1
    heavy = "import sys, taskgan; print(*({'torch', 'numpy', 'pydantic', 'yaml', 'inspect'} & set(sys.modules)))"
    assert not in_a_new_process(heavy).split()


def test_restoring_imports_no_compiler(tmp_path: Path) -> None:
    """It takes as long to load as torch itself."""
    model = write(tmp_path / "model")
    restore = (
        f"import sys, numpy, taskgan, taskgan.restore.run; one = taskgan.Restorer.from_folder({str(model)!r}); "
        "one.restore(numpy.ones((16, 16, 4))); print('torch._dynamo' in sys.modules)"
    )
    assert in_a_new_process(restore).split()[-1] == "False"


def test_every_name_is_there_and_is_what_type_checkers_see() -> None:
    tree = ast.parse(Path(taskgan.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imports for alias in node.names}
    assert set(taskgan.__all__) == set(seen)
    assert set(taskgan.__all__) <= set(dir(taskgan))
    for name, module in seen.items():
        own, there = getattr(importlib.import_module(str(module)), str(name)), getattr(taskgan, str(name))
        assert there == own or inspect.signature(there) == inspect.signature(own)
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        taskgan.tarin  # noqa: B018


def test_a_verb_is_called_whatever_was_imported_before() -> None:
    code = """
import inspect
import {first}
from taskgan import {verb}
import taskgan.{verb}.{module} as module
from taskgan.{verb}.{module} import {verb} as function
from taskgan import {verb} as again
import taskgan
assert module.{verb} is function and inspect.signature({verb}) == inspect.signature(function)
for called in ({verb}, again, taskgan.{verb}):
    try:
        called()
    except TypeError as error:
        assert str(error).startswith("{verb}() missing"), error
    else:
        raise AssertionError("called without arguments")
"""
    whole = ""
    for verb in ("audit", "evaluate", "restore", "sweep", "train"):
        module = taskgan._HOME[verb].partition(".")[2]
        whole += code.format(first=f"taskgan.{verb}.{module}", verb=verb, module=module)
        exec(code.format(first="taskgan", verb=verb, module=module), {})
    in_a_new_process(whole)


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Discs of two brightnesses, in a folder that is called with its name as text."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    radius = np.hypot(*np.mgrid[-8:8, -8:8])[..., None]
    folder, rows = tmp_path / "cohort", []
    folder.mkdir()
    for number in range(8):
        label, split = number % 2, ("train", "train", "val", "test")[number // 2]
        clean = np.repeat((1.0 + label) * (radius < 6), 3, axis=2) + 0.05 * rng.random((16, 16, 3))
        row = {"case": f"s{number}", "subject": f"s{number}", "split": split, "label": label}
        for name, data in (("degraded", clean + 0.3 * rng.random(clean.shape)), ("clean", clean)):
            row[name] = f"s{number}_{name}.nii"
            nib.save(nib.Nifti1Image(data.astype(np.float32), np.diag([2.0, 2, 3, 1])), folder / row[name])
        rows.append(row)
    taskgan.write_pairs(str(folder / "pairs.csv"), rows)
    return folder


def recipe(**changes: Any) -> Recipe:
    return parse_recipe(TINY | changes, "tiny")


def test_every_step_takes_paths_as_text(cohort: Path, tmp_path: Path) -> None:
    where, place = str(cohort), lambda name: os.path.join(str(tmp_path), name)
    Path(place("tiny.yaml")).write_text(yaml.safe_dump(dump_recipe(recipe())))
    assert len(taskgan.read_pairs(where)) == 8
    assert taskgan.read_recipe(place("tiny.yaml")) == recipe()
    model = taskgan.train(place("tiny.yaml"), where, place("run"))
    assert taskgan.Restorer.from_folder(str(model)).card.step > 0  # type: ignore[union-attr]
    taskgan.restore(str(model), os.path.join(where, "s6_degraded.nii"), place("one.nii.gz"))
    taskgan.restore(str(model), [os.path.join(where, "pairs.csv")], place("restored"), split="test")
    taskgan.evaluate(place("restored"), where, place("evaluation"), recipe=place("tiny.yaml"), store=place("store"))
    assert taskgan.compare([place("evaluation")], place("report")).is_file()
    audited = taskgan.audit(
        place("restored"), where, place("audit"), recipe=place("tiny.yaml"), store=place("store"), figures=0
    )
    assert audited.page == tmp_path / "audit" / "audit.html"
    assert audited.page.is_file()
    swept = taskgan.sweep(place("tiny.yaml"), where, place("sweep"), ["loss.mu_task=0.1"], recognisers=place("store"))
    assert (swept.folder, swept.failed) == (tmp_path / "sweep", 0)


@pytest.mark.parametrize("make", ["simulate_pet", "simulate_mr"])
def test_a_simulator_takes_paths_as_text(make: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a cohort")
    with pytest.raises(taskgan.UserError, match=str(tmp_path)):
        getattr(taskgan, make)(str(tmp_path))


def test_preparing_takes_paths_as_text(tmp_path: Path) -> None:
    steps = ({"kind": "blur", "sigma": 1.0},)
    absent, out = str(tmp_path / "absent"), str(tmp_path / "out")
    with pytest.raises(taskgan.UserError, match="absent"):
        taskgan.prepare_mr(absent, out)
    with pytest.raises(taskgan.UserError, match="absent"):
        taskgan.prepare_lfw(absent, out, taskgan.LfwPreparation(degradation=steps), train_list=absent)
    with pytest.raises(taskgan.UserError, match="absent"):
        taskgan.prepare_folder(absent, out, taskgan.FolderPreparation(degradation=steps))


class Smooth(nn.Module):
    """G."""

    def __init__(self, channels: int = 1, width: int = 4) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] + self.last(self.first(x).relu())


class Reads(nn.Module):
    """D, with one answer (B,), or T, with (B, n)."""

    def __init__(self, outputs: int = 0) -> None:
        super().__init__()
        self.outputs = outputs
        self.layer = nn.Conv2d(1, 4, 4, stride=2)
        self.head = nn.Linear(4, max(1, outputs))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = self.layer(x).relu()
        answer = self.head(features.mean(dim=(2, 3)))
        return (answer if self.outputs else answer[:, 0]), [features]


def own(**changes: nn.Module) -> taskgan.CustomNetworks:
    torch.manual_seed(3)
    networks = {"generator": Smooth(), "discriminator": Reads(), "task": Reads(1)}
    return taskgan.CustomNetworks(**(networks | changes))


def test_networks_of_ones_own_train_resume_and_restore(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, wanted = own(), recipe(optimiser={**TINY["optimiser"], "steps": 3})
    before = [p.clone() for one in vars(given).values() for p in one.parameters()]
    model = taskgan.train(wanted, cohort, tmp_path / "whole", networks=given)
    after = [p for one in vars(given).values() for p in one.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))

    saves: list[Any] = []
    save = importlib.import_module("taskgan.train.session").save_checkpoint

    def killed(*state: Any) -> None:
        save(*state)
        saves.append(state)
        if len(saves) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("taskgan.train.session.save_checkpoint", killed)
        taskgan.train(wanted, cohort, tmp_path / "killed", networks=given)
    with pytest.raises(taskgan.UserError, match="discriminator Reads, task Reads.*found the recipe's networks"):
        taskgan.train(wanted, cohort, tmp_path / "killed")
    with pytest.raises(taskgan.UserError, match="generator network does not fit"):
        taskgan.train(wanted, cohort, tmp_path / "killed", networks=own(generator=Smooth(width=5)))
    taskgan.train(wanted, cohort, tmp_path / "killed", networks=given)
    whole, resumed = (torch.load(tmp_path / name / "last.ckpt") for name in ("whole", "killed"))
    for part, weights in whole["networks"].items():
        assert all(torch.equal(weights[k], resumed["networks"][part][k]) for k in weights)
        assert not all(torch.equal(v, getattr(given, part).state_dict()[k]) for k, v in weights.items())

    with pytest.raises(taskgan.UserError, match=r"own class Smooth.*generator=module"):
        taskgan.Restorer.from_folder(model)
    with pytest.raises(taskgan.UserError, match="do not fit the module Smooth"):
        taskgan.Restorer.from_folder(model, generator=Smooth(width=5))
    restored = taskgan.Restorer.from_folder(model, generator=Smooth()).restore(np.ones((16, 16, 3)))
    assert restored.shape == (16, 16, 3)
    out = taskgan.restore(model, cohort / "s6_degraded.nii", tmp_path / "back.nii", generator=Smooth())
    assert nib.load(out).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("changes", "networks", "message"),
    [
        ({"objective": "l1"}, {"discriminator": Reads()}, "has no discriminator, found one of your own"),
        ({"objective": "gan"}, {"task": Reads(1)}, "has no task"),
        ({"objective": "cycle_gan"}, {"generator": Smooth()}, "expected l1, gan or task_gan"),
        ({"machine": {"devices": 2}}, {"generator": Smooth()}, "on one device"),
        ({}, {"discriminator": Reads(1)}, r"discriminator Reads gives \(2, 1\), expected a tensor \(2,\)"),
        ({}, {"task": Reads()}, r"task Reads gives \(2,\), expected a tensor \(2, 1\)"),
        ({}, {"task": Smooth()}, "expected a tuple of its answer and its features"),
        ({}, {"generator": nn.Conv2d(1, 1, 3)}, r"gives \(2, 1, 14, 14\), expected a tensor \(2, 1, 16, 16\)"),
    ],
)
def test_a_network_that_breaks_its_contract_is_refused_before_anything_is_written(
    changes: dict[str, Any], networks: dict[str, nn.Module], message: str, cohort: Path, tmp_path: Path
) -> None:
    with pytest.raises(taskgan.UserError, match=message):
        taskgan.train(recipe(**changes), cohort, tmp_path / "run", networks=taskgan.CustomNetworks(**networks))
    assert not (tmp_path / "run").exists()


def test_arrays_and_tensors_come_back_as_they_went_in(cohort: Path, tmp_path: Path) -> None:
    restorer = taskgan.Restorer.from_folder(taskgan.train(recipe(objective="l1"), cohort, tmp_path / "run"))
    image = np.asarray(nib.load(cohort / "s6_degraded.nii").get_fdata())
    restored = restorer.restore(image, spacing=(2.0, 2.0, 3.0))
    assert restored.dtype == np.float64
    wanted = restorer.restore_volume(image.astype(np.float32)).image
    np.testing.assert_array_equal(restored, wanted)
    tensor = restorer.restore(torch.from_numpy(image).to(torch.float16))
    assert isinstance(tensor, Tensor)
    assert tensor.dtype == torch.float16
    np.testing.assert_allclose(tensor.numpy(), wanted, atol=0.01)
    flat = restorer.restore((100 * image[..., 1]).astype(np.int16))  # in units of a hundredth
    assert flat.shape == (16, 16)
    assert flat.dtype == np.float32
    np.testing.assert_allclose(flat / 100, restorer.restore(image[..., 1]), atol=0.05)
    with pytest.warns(UserWarning, match="voxels of 9 mm along y, the model saw 2 mm"):
        restorer.restore(image, spacing=(2.0, 9.0, 3.0))
    with pytest.raises(taskgan.UserError, match=r"shape \(16,\), expected \(X, Y, Z\) or \(X, Y\)"):
        restorer.restore(image[:, 0, 0])


def test_networks_and_losses_are_plain_functions_of_tensors() -> None:
    clean, degraded = torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16)
    restored = taskgan.UNet(in_channels=1, width=4, depth=2)(degraded)
    discriminator = taskgan.ImageDiscriminator(in_channels=1, widths=(4, 8))
    assert restored.shape == clean.shape
    assert taskgan.pixel_loss(clean, clean).tolist() == [0, 0]
    features = discriminator(clean)[1]
    assert taskgan.feature_matching(features, features).item() == 0
    assert taskgan.feature_matching(discriminator(restored)[1], features).item() > 0
    kind = taskgan.task_kind(recipe().task, "squared")
    y, sure = torch.tensor([0.0, 1.0]), torch.tensor([[-9.0], [9.0]])
    assert (taskgan.task_loss(kind, sure, sure, y) < taskgan.task_loss(kind, -sure, sure, y)).all()


def test_weights_that_layers_share_are_kept(cohort: Path, tmp_path: Path) -> None:
    tied = Smooth(width=1)
    tied.last.weight = tied.first.weight
    networks = taskgan.CustomNetworks(generator=tied)
    model = taskgan.train(recipe(objective="l1"), cohort, tmp_path / "run", networks=networks)
    image = np.ones((16, 16), np.float32)
    first, again = (taskgan.Restorer.from_folder(model, generator=g) for g in (tied, Smooth(width=1)))
    np.testing.assert_array_equal(first.restore(image), again.restore(image))


def test_the_network_of_volumes_is_exported_and_trains_as_ones_own(cohort: Path, tmp_path: Path) -> None:
    network = taskgan.VolumeUNet(in_channels=1, width=2, max_width=4)
    degraded = torch.rand(1, 1, 3, 16, 16)
    assert torch.equal(network(degraded), degraded)
    changes = {"objective": "l1", "generator": {"dimensions": 3}, "data": {"patch": [8, 8, 2]}}
    model = taskgan.train(recipe(**changes), cohort, tmp_path / "run", networks=taskgan.CustomNetworks(network))
    restorer = taskgan.Restorer.from_folder(model, generator=network)
    assert restorer.restore(np.ones((16, 16, 3), np.float32)).shape == (16, 16, 3)
