"""What every kind of property has to hold, each with one example of truth, near and far."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from taskgan.objective.kinds import loss_kind, task_kind
from taskgan.objective.task import TaskKind
from taskgan.recipe.task import KINDS, LossForm, Target
from taskgan.recipe.tasks import Task

FORMS: list[LossForm] = ["squared", "proper"]
MASK = torch.zeros(2, 6, 6)
MASK[0, 1:4, 1:4] = 1
MASK[1, 2:5, 2:6] = 1


@dataclass(frozen=True)
class Example:
    """``output(nearness)`` is T's output for two cases: at 1 (nearly) the truth ``label``, at 0 far from it."""

    target: Target
    label: Tensor
    output: Callable[[float], Tensor]

    def kind(self, form: LossForm) -> TaskKind:
        return task_kind(self.target, form)


def _towards(label: Tensor, nearness: float) -> Tensor:
    """Logits of labels 0 and 1."""
    return 40 * (nearness - 0.5) * (2 * label - 1)


def _classes(label: Tensor, count: int, nearness: float) -> Tensor:
    """Logits of classes, the classes in the second axis."""
    return 40 * (nearness - 0.5) * torch.nn.functional.one_hot(label.long(), count).movedim(-1, 1).float()


def _turned(nearness: float) -> Tensor:
    """Descriptors of length 3 that turn from their own direction into the plane of nobody's."""
    own = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    return nearness * own + (1 - nearness) * torch.tensor([0.0, 0, 1])


EXAMPLES = {
    "binary": Example(Target(), torch.tensor([0.0, 1.0]), lambda n: _towards(torch.tensor([[0.0], [1.0]]), n)),
    "multi_class": Example(
        Target(kind="multi_class", classes=3), torch.tensor([2.0, 0.0]), lambda n: _classes(torch.tensor([2, 0]), 3, n)
    ),
    "multi_label": Example(
        Target(kind="multi_label", labels=("a", "b", "c")),
        torch.tensor([[0.0, 1, math.nan], [1, math.nan, 0]]),
        lambda n: _towards(torch.tensor([[0.0, 1, 0], [1, 1, 0]]), n),
    ),
    "regression": Example(
        Target(kind="regression", labels=("suvr",), centre=1.3, scale=0.2, cut=1.38),
        torch.tensor([1.1, 1.7]),
        lambda n: torch.tensor([[-1.0], [2.0]]) + 2 * (1 - n),
    ),
    "segmentation": Example(Target(kind="segmentation", labels=("mask",)), MASK, lambda n: _classes(MASK, 2, n)),
    "embedding": Example(
        Target(kind="embedding", labels=("subject",), size=3), torch.tensor([[4.0, 1, 0, 0], [7.0, 0, 1, 0]]), _turned
    ),
}
every_kind = pytest.mark.parametrize("name", sorted(KINDS))
every_form = pytest.mark.parametrize("form", FORMS)


def test_there_is_an_example_of_every_kind() -> None:
    assert set(EXAMPLES) == set(KINDS)


@every_kind
@every_form
def test_nothing_is_lost_at_the_truth_and_less_the_nearer(name: str, form: LossForm) -> None:
    example = EXAMPLES[name]
    losses = torch.stack([example.kind(form).loss(example.output(n / 10), example.label) for n in range(11)])
    assert losses.shape == (11, 2)
    torch.testing.assert_close(losses[-1], torch.zeros(2), atol=1e-5, rtol=0)
    assert (losses.diff(dim=0) < 1e-7).all()
    assert (losses[0] > 0.2).all()
    assert (losses >= 0).all()


@every_kind
def test_the_squared_form_is_of_order_one_where_t_knows_nothing(name: str) -> None:
    example = EXAMPLES[name]
    blank = example.output(0.5) * 0 if name != "embedding" else torch.tensor([[0.0, 0, 1], [0, 0, 1]])
    loss = example.kind("squared").loss(blank, example.label)
    assert ((loss > 0.2) & (loss < 4.5)).all()


@every_kind
@every_form
def test_the_gradient_reaches_a_restored_image(name: str, form: LossForm) -> None:
    example = EXAMPLES[name]
    image = example.output(0.4).requires_grad_()
    example.kind(form).loss(image, example.label).sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    assert all(gradient.abs().sum() > 0 for gradient in image.grad)


@every_kind
@every_form
def test_cases_do_not_depend_on_their_company(name: str, form: LossForm) -> None:
    if (name, form) == ("embedding", "proper"):
        pytest.skip("its proper form tells an identity from the others in the batch")
    example, kind = EXAMPLES[name], EXAMPLES[name].kind(form)
    output = example.output(0.3)
    together = kind.loss(output, example.label)
    errors = kind.error(kind.prediction(output), example.label)
    for k in range(2):
        torch.testing.assert_close(kind.loss(output[k : k + 1], example.label[k : k + 1]), together[k : k + 1])
        one = kind.error(kind.prediction(output[k : k + 1]), example.label[k : k + 1])
        torch.testing.assert_close(one, errors[k : k + 1])


@every_kind
def test_the_error_is_nothing_at_the_truth_and_falls_towards_it(name: str) -> None:
    example, kind = EXAMPLES[name], EXAMPLES[name].kind("squared")
    far, near, there = (kind.error(kind.prediction(example.output(n)), example.label) for n in (0.1, 0.8, 1.0))
    assert (far > near).all() or name == "segmentation"  # Dice sees decisions only
    assert (far > there).all()
    torch.testing.assert_close(there, torch.zeros(2), atol=1e-6, rtol=0)


@every_kind
def test_entries_name_every_output_once_and_are_right_at_the_truth(name: str) -> None:
    example, kind = EXAMPLES[name], EXAMPLES[name].kind("squared")
    entries = kind.readings(kind.prediction(example.output(1.0))[:1], example.label[:1])
    assert len({entry.output for entry in entries}) == len(entries)
    for entry in entries:
        if not math.isnan(entry.target):
            assert entry.prediction == pytest.approx(entry.target, abs=1e-4)
        if not math.isnan(entry.decision + entry.target) and name != "regression":
            assert entry.decision == entry.target


@every_kind
def test_right_decisions_where_there_is_one(name: str) -> None:
    example, kind = EXAMPLES[name], EXAMPLES[name].kind("squared")
    truth = kind.true_decision(example.label)
    if truth is None:
        assert name in ("multi_label", "segmentation", "embedding")
        return
    assert kind.decision(kind.prediction(example.output(1.0))).tolist() == truth.tolist()
    assert kind.decision(kind.prediction(example.output(0.0))).tolist() != truth.tolist()


@every_kind
def test_shapes_that_do_not_go_together_are_refused(name: str) -> None:
    example = EXAMPLES[name]
    with pytest.raises(ValueError, match="got"):
        example.kind("squared").loss(example.output(1.0), example.label[:1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "mood"}, "expected one of binary"),
        ({"kind": "regression", "labels": ("a", "b")}, "several are of kind multi_label"),
        ({"labels": ("a", "a")}, "each once"),
        ({"kind": "segmentation"}, "image column"),
        ({"kind": "multi_class", "classes": 1}, "greater than or equal to 2"),
        ({"kind": "regression", "scale": 0.0}, "greater than 0"),
    ],
)
def test_settings_that_make_no_property_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Target(**values)


# What is particular to one kind.


@given(p=st.floats(-8, 8), y=st.sampled_from([0.0, 1.0]), form=st.sampled_from(FORMS))
@settings(max_examples=40, deadline=None)
def test_two_classes_and_one_label_are_a_binary_property(p: float, y: float, form: LossForm) -> None:
    label = torch.tensor([y])
    binary = task_kind(Target(), form).loss(torch.tensor([[p]]), label)
    classes = task_kind(Target(kind="multi_class"), form).loss(torch.tensor([[0.0, p]]), label)
    labels = task_kind(Target(kind="multi_label"), form).loss(torch.tensor([[p]]), label[:, None])
    torch.testing.assert_close(binary, classes)
    torch.testing.assert_close(binary, labels)


@given(
    logits=st.lists(st.floats(-30, 30), min_size=4, max_size=4),
    known=st.lists(st.booleans(), min_size=4, max_size=4),
    form=st.sampled_from(FORMS),
)
@settings(max_examples=60, deadline=None)
def test_unknown_labels_count_nowhere(logits: list[float], known: list[bool], form: LossForm) -> None:
    kind = task_kind(Target(kind="multi_label", labels=tuple("abcd")), form)
    label = torch.tensor([[1.0 if k else math.nan for k in known]])
    output = torch.tensor([logits], requires_grad=True)
    loss = kind.loss(output, label)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None
    assert torch.isfinite(loss).all()
    assert torch.isfinite(output.grad).all()
    assert (output.grad[0][~torch.tensor(known)] == 0).all()
    kept = [number for number, k in enumerate(known) if k]
    if kept:
        alone = task_kind(Target(kind="multi_label", labels=tuple("abcd"[k] for k in kept)), form)
        torch.testing.assert_close(loss, alone.loss(output[:, kept], label[:, kept]))
    else:
        assert loss.item() == 0
        assert kind.error(kind.prediction(output), label).isnan().all()


@given(unit=st.floats(0.01, 1000), shift=st.floats(-100, 100))
@settings(max_examples=40, deadline=None)
def test_a_regression_costs_the_same_in_any_unit(unit: float, shift: float) -> None:
    target = Target(kind="regression", labels=("v",), centre=1.0, scale=0.2)
    other = Target(kind="regression", labels=("v",), centre=unit + shift, scale=0.2 * unit)
    output, label = torch.tensor([[0.3], [-2.0]]), torch.tensor([1.1, 1.3])
    for form in FORMS:
        torch.testing.assert_close(
            task_kind(target, form).loss(output, label),
            task_kind(other, form).loss(output.double(), unit * label.double() + shift).float(),
            rtol=1e-3,
            atol=1e-3,
        )


def test_an_outlier_pulls_at_hubers_loss_no_harder_than_one_scale() -> None:
    target = Target(kind="regression", labels=("v",), centre=0.0, scale=1.0)
    output = torch.tensor([[0.5], [50.0]], requires_grad=True)
    task_kind(target, "proper").loss(output, torch.zeros(2)).sum().backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None
    assert output.grad[:, 0].tolist() == [0.5, 1.0]


def test_without_a_cut_a_regression_decides_nothing() -> None:
    kind = task_kind(Target(kind="regression", labels=("v",)), "squared")
    assert kind.true_decision(torch.tensor([1.0])) is None
    assert math.isnan(kind.readings(torch.tensor([1.0]), torch.tensor([1.2]))[0].decision)


def test_dice_of_known_masks() -> None:
    kind = EXAMPLES["segmentation"].kind("proper")
    half = torch.zeros(1, 6, 6)
    half[0, 1:4, 1:3] = 1  # six of the nine voxels
    prediction = kind.prediction(_classes(half, 2, 1.0))
    assert kind.readings(prediction, MASK[:1])[0].prediction == pytest.approx(2 * 6 / (6 + 9))
    assert kind.error(prediction, MASK[:1]).item() == pytest.approx(1 - 12 / 15)
    nothing = kind.prediction(_classes(torch.zeros(1, 6, 6), 2, 1.0))
    assert kind.error(nothing, torch.zeros(1, 6, 6)).item() == 0  # nothing there, nothing found
    assert math.isnan(kind.readings(nothing, torch.zeros(1, 6, 6))[0].prediction)
    assert kind.error(nothing, MASK[:1]).item() == 1


def test_dice_keeps_a_small_lesion_from_being_ignored() -> None:
    small = torch.zeros(1, 32, 32)
    small[0, 3, 4] = 1
    ignored = _classes(torch.zeros(1, 32, 32), 2, 0.6)
    squared, proper = (EXAMPLES["segmentation"].kind(form).loss(ignored, small) for form in FORMS)
    assert squared < 0.01 < 0.9 < proper


def test_an_embedding_compares_with_the_clean_descriptor_that_nobody_learns_through() -> None:
    kind = EXAMPLES["embedding"].kind("squared")
    clean = torch.tensor([[0.0, 3, 4], [2, 0, 0]], requires_grad=True)
    y = kind.y(torch.tensor([5.0, 6.0]), clean)
    assert not y.requires_grad
    torch.testing.assert_close(y, torch.tensor([[5, 0, 0.6, 0.8], [6, 1, 0, 0]]))
    restored = torch.tensor([[0.0, 30, 40], [0, 1, 0]])  # length means nothing
    torch.testing.assert_close(kind.loss(restored, y), torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(kind.error(kind.prediction(restored), y), torch.tensor([0.0, math.sqrt(2)]))
    with pytest.raises(ValueError, match="output of T for x"):
        kind.y(torch.zeros(2), None)


def test_telling_identities_apart_punishes_one_descriptor_for_all_but_not_two_images_of_one() -> None:
    kind = EXAMPLES["embedding"].kind("proper")
    same = torch.tensor([[1.0, 0, 0], [1, 0, 0]])
    strangers = kind.y(torch.tensor([1.0, 2.0]), same)
    twins = kind.y(torch.tensor([1.0, 1.0]), same)
    torch.testing.assert_close(kind.loss(same, strangers), torch.full((2,), math.log(2)))
    torch.testing.assert_close(kind.loss(same, twins), torch.zeros(2))


def test_an_identity_is_decided_by_the_cut() -> None:
    target = Target(kind="embedding", labels=("subject",), size=2, cut=0.5)
    kind = task_kind(target, "squared")
    y = torch.tensor([[0.0, 1.0, 0.0]])
    near, far = (kind.readings(torch.tensor([v]), y)[0] for v in ([1.0, 0.2], [1.0, 2.0]))
    assert (near.decision, far.decision) == (1.0, 0.0)
    assert far.prediction == pytest.approx(1 / math.sqrt(5))
    undecided = task_kind(target.model_copy(update={"cut": None}), "squared")
    assert math.isnan(undecided.readings(torch.tensor([[1.0, 0.2]]), y)[0].decision)


def test_the_margin_asks_for_more_than_being_right() -> None:
    kind = EXAMPLES["embedding"].kind("squared")
    wide, narrow = (
        kind.pretraining_head(2),
        task_kind(Target(kind="embedding", size=3, margin=0.0), "squared").pretraining_head(2),
    )
    assert wide is not None
    assert narrow is not None
    narrow.load_state_dict(wide.state_dict())
    output, label = torch.randn(5, 3), torch.tensor([0.0, 1, 1, 0, 1])
    assert (wide(output, label) >= narrow(output, label)).all()
    assert wide(output, label).sum() > narrow(output, label).sum()
    assert sum(p.numel() for p in wide.parameters()) == 6
    assert EXAMPLES["binary"].kind("squared").pretraining_head(2) is None


def test_an_invented_pixel_costs_what_the_task_says_and_1_is_dice_with_cross_entropy() -> None:
    """Salehi et al. 2017: Σ p·y / (Σ p·y + f/2 Σ p·(1 − y) + 1/2 Σ (1 − p)·y)."""
    truth = torch.zeros(1, 8, 8)
    truth[0, 2:4, 2:6] = 1  # eight pixels
    invented, missed = truth.clone(), truth.clone()
    invented[0, 6, 2:6] = 1
    missed[0, 3, 2:6] = 0
    fields = {"kind": "segmentation", "labels": ("mask",), "loss": "proper", "pretrain": {"network": "unet"}}
    kinds = {cost: loss_kind(Task(**fields, false_positive=cost)) for cost in (1.0, 4.0)}
    plain = EXAMPLES["segmentation"].kind("proper")
    for image in (invented, missed):
        logits = _classes(image, 2, 0.9)
        assert torch.equal(kinds[1.0].loss(logits, truth), plain.loss(logits, truth))
    sure = {name: _classes(image, 2, 0.9) for name, image in (("invented", invented), ("missed", missed))}
    (p_in, p_out) = (float(sure["missed"].softmax(1)[0, 1].max()), float(sure["missed"].softmax(1)[0, 1].min()))
    entropy = {name: F.cross_entropy(z, truth.long(), reduction="none") for name, z in sure.items()}
    both = 8 * p_in
    wrong = 4 * p_in + 52 * p_out
    index = both / (both + 4 / 2 * wrong + 8 * (1 - p_in) / 2)
    weighted = (entropy["invented"] * torch.where(truth == 0, 4.0, 1.0)).mean()
    assert float(kinds[4.0].loss(sure["invented"], truth)) == pytest.approx(float(weighted) + 1 - index, rel=1e-5)
    rises = {name: float(kinds[4.0].loss(z, truth) - kinds[1.0].loss(z, truth)) for name, z in sure.items()}
    assert rises["invented"] > 2 * rises["missed"] > 0
    empty = torch.zeros(1, 8, 8)  # where y has no lesion there is no index: the cross-entropy punishes
    assert float(kinds[4.0].loss(sure["invented"], empty)) == pytest.approx(
        4 * float(kinds[1.0].loss(sure["invented"], empty)), rel=1e-5
    )
