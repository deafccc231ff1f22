"""How a recogniser learns: on clean slices of the training subjects, until the validation subjects say stop."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from taskgan import recipe
from taskgan.console import duration, progress, say
from taskgan.errors import UserError
from taskgan.files import versions
from taskgan.objective.kinds import task_kind
from taskgan.objective.task import TaskKind
from taskgan.recogniser.batches import Batches
from taskgan.recogniser.card import Card, Figures
from taskgan.recogniser.decision import figures
from taskgan.recogniser.recogniser import Recogniser, build, logits
from taskgan.recogniser.volumes import CleanSlices


def fit_recogniser(
    settings: recipe.Recogniser,
    train: CleanSlices,
    val: CleanSlices,
    *,
    title: str,
    device: str | torch.device = "cpu",
) -> Recogniser:
    """Train a recogniser on clean slices.

    Batches hold as many positives as negatives; within a label every subject is drawn equally often, so that
    neither the cohort's balance nor long volumes decide. The weights kept are those of the look with the least
    validation loss. Everything random comes from ``settings.seed``; torch's own generator is put back.

    Args:
        settings: Architecture and training.
        train: Volumes that the weights learn from; both labels must be there.
        val: Volumes of other subjects, which decide only when to stop and which weights to keep.
        title: What it is for, e.g. ``task``; shown and recorded.
        device: Where to train; the result stays there.

    Raises:
        UserError: If training has one label only, or a subject is in both parts.
    """
    _check(train, val, title)
    began = time.monotonic()
    place = torch.device(device)
    kind = task_kind("binary", settings.loss)
    with torch.random.fork_rng([place] if place.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        network = build(settings, outputs=kind.outputs).to(place)
        # A third faster on a CPU, at the widths of the demo.
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        best = _learn(network, settings, kind, Batches(train, settings), val, title)
    network.load_state_dict(best.weights)
    card = Card(
        title=title,
        settings=settings,
        outputs=kind.outputs,
        training_subjects=train.subjects,
        validation_subjects=val.subjects,
        cohort=train.fingerprint,
        step=best.step,
        validation=best.figures,
        versions=versions(),
    )
    say(_result(card, time.monotonic() - began))
    return Recogniser(network.eval(), card)


def validate(network: nn.Module, kind: TaskKind, volumes: CleanSlices) -> Figures:
    """Read volumes of known label; the network's mode is put back."""
    readings, losses = [], []
    for volume in volumes:
        output = logits(network, volume.slices)
        readings.append(kind.prediction(output).numpy())
        losses.append(float(kind.loss(output, torch.full((len(output),), volume.label)).mean()))
    return figures(readings, [volume.label for volume in volumes], losses)


@dataclass(frozen=True)
class _Look:
    """One look at the validation subjects."""

    step: int
    figures: Figures
    weights: dict[str, Tensor]


def _learn(
    network: nn.Module,
    settings: recipe.Recogniser,
    kind: TaskKind,
    batches: Batches,
    val: CleanSlices,
    title: str,
) -> _Look:
    place = next(network.parameters()).device
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    schedule = CosineAnnealingLR(optimiser, settings.steps)
    best: _Look | None = None
    worse = 0
    with progress(f"train {title}", settings.steps, "steps") as shown:
        for step in range(1, settings.steps + 1):
            network.train()
            images, labels = batches.draw()
            images = images.to(place, memory_format=torch.channels_last)
            loss = kind.loss(network(images)[0], labels.to(place)).mean()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            if step % settings.validate_every == 0 or step == settings.steps:
                found = validate(network, kind, val)
                if best is None or found.loss < best.figures.loss:
                    best, worse = _Look(step, found, _copy(network)), 0
                else:
                    worse += 1
                if settings.patience and worse >= settings.patience:
                    break
            shown.advance(loss=loss.item(), validation=best.figures.loss if best else "-")
    assert best is not None  # the last step always looks
    return best


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in network.state_dict().items()}


def _result(card: Card, seconds: float) -> str:
    found = card.validation
    wrong = round(found.volume_error * found.volumes)
    auc = "" if found.auc is None else f", AUC {found.auc:.3f}"
    return (
        f"train {card.title}: {card.settings.network} of step {card.step} reads clean validation slices with MAE "
        f"{found.slice_mae:.3f}, errs on {wrong} of {found.volumes} volumes{auc} ({duration(seconds)})"
    )


def _check(train: CleanSlices, val: CleanSlices, title: str) -> None:
    labels = {volume.label for volume in train}
    if labels != {0.0, 1.0}:
        found = ", ".join(f"{label:g}" for label in sorted(labels))
        raise UserError(
            f"{title} cannot be trained: the training subjects all have label {found}, expected 0 and 1"
        )
    both = sorted(set(train.subjects) & set(val.subjects))
    if both:
        raise UserError(f"{title} cannot be trained: {', '.join(both)} is in both training and validation")
