"""A program of one's own as T or judge, of every kind of property: kept, read, held against its contract."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from taskgan.audit.judges import judge_settings
from taskgan.cohort.pairs import Pairs
from taskgan.core.errors import UserError
from taskgan.core.files import checksum
from taskgan.judges.recogniser import Recogniser
from taskgan.judges.store import recogniser_folder, recogniser_for, released_recogniser
from taskgan.judges.volumes import CleanSlices, CleanVolume
from taskgan.networks.programs import OwnNetwork
from taskgan.objective.kinds import task_kind
from taskgan.recipe import Data, RecogniserSettings, Target, parse_recipe

SIZE = 24
IMAGES = torch.zeros(2, 1, SIZE, SIZE)
KINDS: dict[str, dict[str, Any]] = {
    "binary": {},
    "multi_class": {"classes": 3},
    "multi_label": {"labels": ["a", "b"]},
    "regression": {"centre": 2.0, "scale": 4.0},
    "segmentation": {"labels": ["mask"], "classes": 2},
    "embedding": {"labels": ["subject"], "size": 8},
}


class Head(nn.Module):
    """Means of a convolution's channels, or its channels in each pixel."""

    def __init__(self, outputs: int, *, dense: bool = False, channels: int = 1) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, outputs, 3, padding=1)
        self.dense = dense

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.layer(x)
        return answer if self.dense else answer.square().mean(dim=(2, 3))


def exported(path: Path, network: nn.Module, *, channels: int = 1, size: int = SIZE) -> Path:
    """What a user does: any number of images, of one size."""
    example = torch.zeros(2, channels, size, size)
    program = torch.export.export(network.eval(), (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, path)
    return path


def onnx_exported(path: Path, *, outputs: int = 1, batch: str | int = "n") -> Path:
    """The mean of each image, ``outputs`` times over."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, proto = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("Concat", ["mean"] * outputs, ["y"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("x", proto.FLOAT, [batch, 1, SIZE, SIZE])],
        [helper.make_tensor_value_info("y", proto.FLOAT, [batch, outputs])],
        [onnx.numpy_helper.from_array(np.array([2, 3]), "axes")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def settings_of(path: Path, network: str = "program", **further: Any) -> RecogniserSettings:
    return RecogniserSettings.model_validate({"network": network, "weights": str(path), **further})


def slices_of(target: Target) -> CleanSlices:
    rng = np.random.default_rng(0)
    labels: dict[str, Any] = {
        "multi_label": np.array([0, 1], np.float32),
        "segmentation": (rng.random((3, SIZE, SIZE)) > 0.5).astype(np.float32),
    }
    images = [rng.random((3, SIZE, SIZE)).astype(np.float32) for _ in range(4)]
    return CleanSlices(
        tuple(CleanVolume(f"v{k // 2}", labels.get(target.kind, float(k // 2)), one) for k, one in enumerate(images))
    )


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_program_of_every_kind_is_read_kept_and_passes_gradients_on(kind: str, tmp_path: Path) -> None:
    target = Target(kind=kind, **KINDS[kind])
    torch.manual_seed(0)
    network = Head(task_kind(target, "squared").outputs, dense=target.facts.dense)
    path = exported(tmp_path / "own.pt2", network)
    val = slices_of(target)
    recogniser = released_recogniser(settings_of(path), val, title="task", target=target)
    assert recogniser.card.source is not None
    assert recogniser.card.source.sha256 == checksum(path)
    read = recogniser.read(val.volumes[0].slices)
    assert np.isfinite(read).all()
    if kind == "regression":  # what the program says is the value itself
        expected = network(torch.from_numpy(val.volumes[0].slices[:, None])).detach().numpy()[:, 0]
        np.testing.assert_allclose(read, expected, rtol=1e-5)

    recogniser.save(tmp_path / "kept")
    path.unlink()
    again = Recogniser.load(tmp_path / "kept")
    np.testing.assert_array_equal(again.read(val.volumes[0].slices), read)

    x = torch.rand(2, 1, SIZE, SIZE, requires_grad=True)
    output, features = again.network(x)
    (output.square().sum() + features[-1].sum()).backward()
    assert x.grad is not None
    assert (x.grad.abs().flatten(1).sum(dim=1) > 0).all()
    assert not any(p.requires_grad for p in again.network.parameters())


def test_slices_are_shown_as_the_recipe_says(tmp_path: Path) -> None:
    class Corner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, 0, -1].sum(dim=1, keepdim=True)

    path = exported(tmp_path / "own.pt2", Corner(), channels=3)
    shown = {"scale": 255, "mean": [1, 2, 3], "divide": [2], "channels": 3, "upright": True}
    x = torch.zeros(1, 1, SIZE, SIZE)
    x[0, 0, -1, 0] = 1.0  # right and up: the last of a photo's first row
    network = OwnNetwork(path.read_bytes(), settings_of(path, input=shown), Target())
    assert float(network(x)[0]) == pytest.approx((3 * 255 - 6) / 2)
    shown |= {"size": [SIZE, SIZE]}
    resized = OwnNetwork(path.read_bytes(), settings_of(path, input=shown), Target())
    assert resized.prepare(torch.zeros(2, 1, 48, 36)).shape == (2, 3, SIZE, SIZE)


@pytest.mark.parametrize(
    ("make", "kind", "sentence"),
    [
        (lambda p: exported(p, Head(2)), "binary", r"gives \(1, 2\) for 1 image.* expected \(1, 1\): one logit"),
        (lambda p: exported(p, Head(2)), "segmentation", r"expected \(1, 2, 24, 24\): a logit of each class in each"),
        (lambda p: exported(p, Head(1, channels=3), channels=3), "binary", "does not read 1 image of 1×24×24"),
        (lambda p: exported(p, Head(1), size=16), "binary", "does not read 1 image of 1×24×24"),
        (lambda p: p.write_bytes(b"PK nothing") and p, "binary", "cannot be read as an exported program"),
    ],
)
def test_what_breaks_the_contract_is_one_sentence(
    make: Callable[[Path], Path], kind: str, sentence: str, tmp_path: Path
) -> None:
    target = Target(kind=kind, **KINDS[kind])
    path = make(tmp_path / "own.pt2")
    with pytest.raises(UserError, match=sentence) as raised:
        released_recogniser(settings_of(path), slices_of(target), title="task", target=target)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("batch", ["n", 1])
def test_an_onnx_file_judges(batch: str | int, tmp_path: Path) -> None:
    path = onnx_exported(tmp_path / "own.onnx", batch=batch)
    val = slices_of(Target())
    judge = released_recogniser(settings_of(path, "onnx"), val, title="judge", target=Target())
    means = val.volumes[0].slices.mean(axis=(1, 2))
    np.testing.assert_allclose(judge.read(val.volumes[0].slices), 1 / (1 + np.exp(-means)), rtol=1e-5)
    judge.save(tmp_path / "kept")
    np.testing.assert_array_equal(
        Recogniser.load(tmp_path / "kept").read(val.volumes[0].slices), judge.read(val.volumes[0].slices)
    )
    with pytest.raises(UserError, match="passes no gradient on"):
        released_recogniser(settings_of(path, "onnx"), val, title="task", target=Target())


def test_a_cohort_keeps_it_by_its_bytes(cohort: Pairs, tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, data = settings_of(exported(tmp_path / "own.pt2", Head(1))), Data(select={"dose": 1})
    reader = recogniser_for(cohort, first, data, name="task")
    assert reader.card.validation.volumes == 2
    folder = recogniser_folder(cohort, first, data, name="task")
    moved = settings_of((tmp_path / "own.pt2").rename(tmp_path / "moved.pt2"))
    assert recogniser_folder(cohort, moved, data, name="task") == folder
    assert (
        recogniser_folder(cohort, settings_of(tmp_path / "moved.pt2", input={"scale": 2}), data, name="task") != folder
    )
    with pytest.raises(UserError, match=r"own.pt2 \(judge.weights\) does not exist, expected a file that torch.export"):
        recogniser_for(cohort, first, data, name="judge")


@pytest.mark.parametrize(
    ("task", "judge", "sentence"),
    [
        ({"network": "onnx", "weights": "a.onnx"}, {}, "task.pretrain.network is onnx, which passes no gradient on"),
        ({"network": "program"}, {}, "weights is missing"),
        ({"network": "resnet10", "input": {"scale": 2}}, {}, "input is set but network is resnet10"),
        ({"network": "program", "weights": "a.pt2", "input": {"mean": [1, 2]}}, {}, "input.mean has 2 numbers"),
        ({"network": "program", "weights": "a"}, {"network": "program", "weights": "a"}, "T is never its own judge"),
    ],
)
def test_recipes_that_cannot_work_are_refused(task: dict[str, Any], judge: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_recipe({"task": {"training": "frozen", "pretrain": task}, "judge": {"seed": 1, **judge}}, "recipe.yaml")


def test_the_example_of_the_docs_works(cohort: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library)
    page = (Path(__file__).parents[3] / "docs" / "recognisers.md").read_text(encoding="utf-8")
    section = page.split("## A program of one's own")[1].split("\n## ")[0]
    code, recipe = (section.split(f"```{language}\n")[1].split("```")[0] for language in ("python", "yaml"))
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converter's own code
        exec(code, {})
    settings = parse_recipe(yaml.safe_load(recipe), "recipe.yaml")
    data = settings.data.model_copy(update={"select": {"dose": 1}})
    for name, one in (("task", settings.task.pretrain), ("judge", settings.judge)):
        reader = recogniser_for(cohort, one, data, name=name, target=settings.task.target)
        assert reader.card.validation.auc is not None
        assert reader.card.source is not None


def test_an_audit_has_a_trained_judge_beside_ones_own() -> None:
    own = {"network": "onnx", "weights": "a.onnx"}
    recipe = parse_recipe(
        {"task": {"training": "frozen", "pretrain": {"network": "program", "weights": "a.pt2"}}, "judge": own},
        "recipe.yaml",
    )
    first, second = judge_settings(recipe)
    assert first.network == "onnx"
    assert (second.network, second.weights) == ("convnet", None)
    assert second.seed != recipe.task.pretrain.seed
