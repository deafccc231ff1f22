"""How a recogniser learns: on clean slices of the training subjects, until the validation subjects say stop."""

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from taskgan.core.console import duration, progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import atomic, versions
from taskgan.core.parse import error_text
from taskgan.core.tensors import bf16_is_native, load_torch
from taskgan.judges.discriminant import fit_discriminant, repeated_subjects
from taskgan.judges.figures import THRESHOLD, verify_network, volume_metrics
from taskgan.judges.recogniser import Recogniser, RecogniserCard, RecogniserMetrics, build, volume_logits
from taskgan.judges.volumes import CleanSlices, RecogniserBatches, slice_labels
from taskgan.networks.gradients import Discriminant
from taskgan.objective.kinds import task_kind
from taskgan.objective.task import TaskKind
from taskgan.recipe import RecogniserSettings, Target

FORMAT = 1


@dataclass(frozen=True)
class WeightsSnapshot:
    """One validation: the steps made before it, figures on the validation subjects, the network's weights then."""

    step: int
    figures: RecogniserMetrics
    weights: dict[str, Tensor] = field(repr=False)


@dataclass
class RecogniserTrainState:
    """Everything that changes while a recogniser learns.

    Attributes:
        head: The network's classes, where it learns by classes that are no part of it.
        optimiser: Of both.
        batches: What is drawn next.
        worse: Validations since the best one.
        seconds: That it took, in all sittings.
    """

    network: nn.Module
    head: nn.Module | None
    optimiser: torch.optim.Optimizer
    schedule: LRScheduler
    batches: RecogniserBatches
    step: int = 0
    worse: int = 0
    best: WeightsSnapshot | None = None
    seconds: float = 0.0

    @property
    def device(self) -> torch.device:
        """Where it learns."""
        return next(self.network.parameters()).device

    def save(self, path: Path) -> None:
        """Write everything atomically: tensors and plain values."""
        best = self.best
        state = {
            "format": FORMAT,
            **{key: getattr(self, key) for key in ("step", "worse", "seconds")},
            **{key: value.state_dict() for key, value in self._parts().items()},
            "drawn": self.batches.state(),
            "best": best and {**asdict(best), "figures": best.figures.model_dump()},
            "random": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.device)
        with atomic(path) as partial, partial.open("wb") as handle:
            torch.save(state, handle)

    def load(self, path: Path) -> str:
        """Go on from what :meth:`save` wrote. Runs no code that is in it.

        Returns:
            Why it cannot be gone on from; empty where it can. Nothing is changed then.
        """
        try:
            state: dict[str, Any] = load_torch(path)
        except Exception as error:  # pickle, zip and torch each have their own
            return error_text(error)
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            return f"it is of another format, expected {FORMAT}"
        before = deepcopy({key: value.state_dict() for key, value in self._parts().items()})
        drawn = self.batches.state()
        try:
            self._take_back(state)
        except Exception as error:  # a part that is missing, or is another network's
            for key, value in self._parts().items():
                value.load_state_dict(before[key])
            self.batches.restore_state(drawn)
            return f"it is damaged or another network's: {error_text(error)}"
        return ""

    def _take_back(self, state: dict[str, Any]) -> None:
        """Everything from a checkpoint; the plain values last, which cannot fail."""
        best, further = state["best"], {key: state[key] for key in ("step", "worse", "seconds", "random")}
        kept = best and WeightsSnapshot(best["step"], RecogniserMetrics(**best["figures"]), best["weights"])
        for key, value in self._parts().items():
            value.load_state_dict(state[key])
        self.batches.restore_state(state["drawn"])
        torch.set_rng_state(further["random"])
        self.best = kept or self.best
        self.step, self.worse, self.seconds = (further[key] for key in ("step", "worse", "seconds"))
        if self.device.type == "cuda" and "random_cuda" in state:
            torch.cuda.set_rng_state(state["random_cuda"], self.device)

    def _parts(self) -> dict[str, Any]:
        parts = {"network": self.network, "optimiser": self.optimiser, "schedule": self.schedule}
        return parts | ({"head": self.head} if self.head is not None else {})


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 itself: elsewhere it is converted to and fro, and slower than 32 bits."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bf16_is_native()


def autocast(settings: RecogniserSettings, device: torch.device) -> Any:
    """The context in which the network is called while it learns."""
    enabled = settings.precision == "bf16" or (settings.precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


_SELDOM_S = 60.0  # what is learnt in a minute need not be kept, and keeping takes time


def fit_recogniser(
    settings: RecogniserSettings,
    train: CleanSlices,
    val: CleanSlices,
    *,
    title: str,
    device: str | torch.device = "cpu",
    target: Target | None = None,
    keep: Path | None = None,
) -> Recogniser:
    """Train a recogniser on clean slices.

    Batches hold as many of each class; within a class every subject is drawn equally often (or every image, as
    ``settings.sampling`` says), so that neither the cohort's balance nor long volumes decide. The weights kept are
    those that read the validation subjects best (:func:`improves`). Everything random comes from
    ``settings.seed``; torch's own generator is put back.

    Args:
        settings: Architecture and training.
        train: Volumes that the weights learn from; all classes must be there.
        val: Volumes of other subjects, which decide only when to stop and which weights to keep.
        title: What it is for, e.g. ``task``; shown and recorded.
        device: Where to train; the result stays there.
        target: The property; None is a binary one.
        keep: File that holds a training which is under way: written when the validation subjects were read, at most
            once a minute. Where it is there already, that training is gone on with; on the CPU the result then equals
            that of an uninterrupted one to the bit. It stays: whoever keeps the result removes it.

    Raises:
        UserError: If training lacks a class, or a subject is in both parts.
    """
    target = target or Target()
    kind = task_kind(target, settings.loss)
    _check_subjects(kind, train, val, title)
    place = torch.device(device)
    with torch.random.fork_rng([place] if place.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        network = build(settings, in_channels=train.channels, outputs=kind.outputs).to(place)
        # A third faster on a CPU, at the widths of the demo.
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        step, metrics, seconds = _train(network, settings, kind, train, val, title, keep)
    if kind.label_from_clean and target.cut is None:
        target = target.model_copy(update={"cut": metrics.outputs[THRESHOLD]})
    card = RecogniserCard(
        title=title,
        settings=settings,
        in_channels=train.channels,
        outputs=kind.outputs,
        target=target,
        training_subjects=train.subjects,
        validation_subjects=val.subjects,
        cohort=train.fingerprint,
        step=step,
        validation=metrics,
        versions=versions(),
    )
    say(_summary(card, seconds))
    return Recogniser(network.eval(), card)


def _train(
    network: nn.Module,
    settings: RecogniserSettings,
    kind: TaskKind,
    train: CleanSlices,
    val: CleanSlices,
    title: str,
    keep: Path | None,
) -> tuple[int, RecogniserMetrics, float]:
    """Teach the network in place: by steps, in closed form, or first the one and then the other.

    Returns:
        Steps, figures on the validation subjects, seconds.
    """
    began = time.monotonic()
    by_steps = network.network if isinstance(network, Discriminant) else network
    step, seconds = 0, 0.0
    metrics: RecogniserMetrics | None = None
    if not settings.facts.closed_form:
        course = _train_state(by_steps, settings, kind, train, keep)
        known = repeated_subjects(train) if isinstance(network, Discriminant) else train

        def _metrics_now() -> RecogniserMetrics:
            # By itself a network is at its best at another step: its last layer takes off what it knows by heart.
            if isinstance(network, Discriminant):
                fit_discriminant(network, known, mirrored=False)
            return validate(network, kind, val)

        best = _optimise(course, settings, kind, title, keep, _metrics_now)
        by_steps.load_state_dict(best.weights)
        step, metrics, seconds = best.step, best.figures, course.seconds
        began = time.monotonic()
    if isinstance(network, Discriminant):
        fit_discriminant(network, train, mirrored=settings.augment.flip, title=title)
        metrics = validate(network, kind, val)
    assert metrics is not None  # either way it was looked at
    return step, metrics, seconds + time.monotonic() - began


def validate(network: nn.Module, kind: TaskKind, volumes: CleanSlices) -> RecogniserMetrics:
    """Read volumes of known label; the network's mode is put back."""
    if kind.label_from_clean:
        return verify_network(network, kind, volumes)
    outputs = volume_logits(network, [volume.slices for volume in volumes])
    labels = [slice_labels(volume) for volume in volumes]
    losses = [float(kind.loss(o, y).mean()) for o, y in zip(outputs, labels, strict=True)]
    return volume_metrics(kind, [kind.prediction(o).numpy() for o in outputs], labels, losses)


def improves(metrics: RecogniserMetrics, best: RecogniserMetrics, kind: TaskKind) -> bool:
    """Whether one reading of the validation subjects beats another: by its loss, of an embedding by its AUC.

    The loss of telling a person from 511 others is ln 512 for one descriptor for all, and more for a network that has
    begun to tell people apart and is sure of some mistakes: by that loss the untaught network would be kept.
    """
    if kind.label_from_clean and metrics.auc is not None and best.auc is not None:
        return (metrics.auc, -metrics.loss) > (best.auc, -best.loss)
    return metrics.loss < best.loss


def _train_state(
    network: nn.Module, settings: RecogniserSettings, kind: TaskKind, train: CleanSlices, keep: Path | None
) -> RecogniserTrainState:
    """A new training, or the one that was put down at ``keep``."""
    head = kind.pretraining_head(len({float(v.label) for v in train})) if kind.label_from_clean else None
    place = next(network.parameters()).device
    learnt = [*network.parameters(), *(head.to(place).parameters() if head is not None else ())]
    optimiser = torch.optim.AdamW(learnt, lr=settings.lr, weight_decay=settings.weight_decay)
    batches = RecogniserBatches(train, settings, by_class=kind.by_class)
    course = RecogniserTrainState(network, head, optimiser, CosineAnnealingLR(optimiser, settings.steps), batches)
    if keep is not None and keep.is_file():
        if trouble := course.load(keep):
            say(f"{keep} cannot be gone on from ({trouble}): beginning anew")
        else:
            say(f"going on with {keep} at step {course.step}")
    return course


def _optimise(
    course: RecogniserTrainState,
    settings: RecogniserSettings,
    kind: TaskKind,
    title: str,
    keep: Path | None,
    figures_now: Callable[[], RecogniserMetrics],
) -> WeightsSnapshot:
    """Steps until there are enough, or no validation was better for a while."""
    criterion = course.head if course.head is not None else kind.loss
    network, place = course.network, course.device
    before, began = course.seconds, time.monotonic()
    written = began
    patience = settings.patience or settings.steps
    with progress(f"train {title}", settings.steps, "steps", start=course.step) as bar:
        while course.step < settings.steps and course.worse < patience:
            network.train()
            images, labels = course.batches.draw()
            images = images.to(place, memory_format=torch.channels_last)
            with autocast(settings, place):
                outputs = network(images)[0]
            loss = criterion(outputs.float(), labels.to(place)).mean()
            course.optimiser.zero_grad()
            torch.autograd.backward(loss)
            course.optimiser.step()
            course.schedule.step()
            course.step += 1
            if course.step % settings.validate_every == 0 or course.step == settings.steps:
                _update_best(course, kind, figures_now())
                course.seconds = before + time.monotonic() - began
                if keep is not None and time.monotonic() - written >= _SELDOM_S:
                    course.save(keep)
                    written = time.monotonic()
            if course.worse < patience:
                bar.advance(loss=loss.item(), validation=_best_score(course.best, kind))
    assert course.best is not None  # the last step always validates
    return course.best


def _update_best(course: RecogniserTrainState, kind: TaskKind, metrics: RecogniserMetrics) -> None:
    """Keep the weights if the validation subjects were never read better."""
    course.worse += 1
    if course.best is None or improves(metrics, course.best.figures, kind):
        weights = {key: value.detach().clone() for key, value in course.network.state_dict().items()}
        course.best, course.worse = WeightsSnapshot(course.step, metrics, weights), 0


def _best_score(best: WeightsSnapshot | None, kind: TaskKind) -> float | str:
    """What the progress line says of the best validation: by what it is the best."""
    if best is None or not kind.label_from_clean or best.figures.auc is None:
        return "-" if best is None else best.figures.loss
    return f"AUC {best.figures.auc:.3f}"


def _summary(card: RecogniserCard, seconds: float) -> str:
    metrics = card.validation
    wrong = ""
    if metrics.volume_error is not None:
        wrong = f", errs on {round(metrics.volume_error * metrics.volumes)} of {metrics.volumes} volumes"
        if task_kind(card.target, "squared").true_decision(torch.zeros(1)) is None:  # several decisions a volume
            wrong = f", errs in {100 * metrics.volume_error:.0f} % of its decisions"
    auc = "" if metrics.auc is None else f", AUC {metrics.auc:.3f}"
    return (
        f"train {card.title}: {card.settings.network} of step {card.step} reads clean validation slices with MAE "
        f"{metrics.slice_mae:.3f}{wrong}{auc} ({duration(seconds)})"
    )


def _check_subjects(kind: TaskKind, train: CleanSlices, val: CleanSlices, title: str) -> None:
    if kind.by_class:
        labels, classes = sorted({float(volume.label) for volume in train}), range(max(2, kind.outputs))
        if labels != list(classes):
            raise UserError(
                f"{title} cannot be trained: the training subjects all have label "
                f"{', '.join(f'{label:g}' for label in labels)}, expected {', '.join(map(str, classes[:-1]))} and "
                f"{classes[-1]}"
            )
    both = sorted(set(train.subjects) & set(val.subjects))
    if both:
        raise UserError(f"{title} cannot be trained: {', '.join(both)} is in both training and validation")
