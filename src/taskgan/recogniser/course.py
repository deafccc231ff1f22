"""A recogniser's training as it stands: what has to be kept to go on with it to the same bits."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from taskgan.files import atomic
from taskgan.recogniser.batches import Batches
from taskgan.recogniser.card import Figures

FORMAT = 1
_SELDOM_S = 60.0  # what is learnt in a minute need not be kept, and keeping takes time


@dataclass(frozen=True)
class Look:
    """One look at the validation subjects.

    Attributes:
        step: Steps made before it.
        figures: On the validation subjects.
        weights: Of the network, then.
    """

    step: int
    figures: Figures
    weights: dict[str, Tensor] = field(repr=False)


@dataclass
class Course:
    """Everything that changes while a recogniser learns.

    Attributes:
        network: What learns.
        head: Its classes, where it learns by classes that are no part of it.
        optimiser: Of both.
        schedule: Of the learning rate.
        batches: What is drawn next.
        step: Steps made.
        worse: Looks since the best one.
        best: The best look.
        seconds: That it took, in all sittings.
    """

    network: nn.Module
    head: nn.Module | None
    optimiser: torch.optim.Optimizer
    schedule: LRScheduler
    batches: Batches
    step: int = 0
    worse: int = 0
    best: Look | None = None
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
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # pickle, zip and torch each have their own
            return str(error).splitlines()[0]
        if state.get("format") != FORMAT:
            return f"it has format {state.get('format')}, expected {FORMAT}"
        for key, value in self._parts().items():
            value.load_state_dict(state[key])
        self.batches.go_on_from(state["drawn"])
        if (best := state["best"]) is not None:
            self.best = Look(best["step"], Figures(**best["figures"]), best["weights"])
        self.step, self.worse, self.seconds = state["step"], state["worse"], state["seconds"]
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and "random_cuda" in state:
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
        return ""

    def _parts(self) -> dict[str, Any]:
        parts = {"network": self.network, "optimiser": self.optimiser, "schedule": self.schedule}
        return parts | ({"head": self.head} if self.head is not None else {})


class Keeper:
    """Keeps a course in a file, at most once a minute, and counts the time of all sittings.

    Args:
        course: What is kept.
        path: Where; None keeps nothing.
    """

    def __init__(self, course: Course, path: Path | None) -> None:
        self._course, self._path = course, path
        self._before = course.seconds
        self._began = self._last = time.monotonic()

    def look(self) -> None:
        """Called after a look at the validation subjects."""
        now = time.monotonic()
        self._course.seconds = self._before + now - self._began
        if self._path is not None and now - self._last >= _SELDOM_S:
            self._course.save(self._path)
            self._last = time.monotonic()
