"""A recogniser's training as it stands: what has to be kept to go on with it to the same bits."""

from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from taskgan.core.files import atomic
from taskgan.core.parse import error_text
from taskgan.core.tensors import load_torch
from taskgan.judges.recogniser import RecogniserMetrics
from taskgan.judges.volumes import RecogniserBatches
from taskgan.recipe import RecogniserSettings

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
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return device.type == "cpu" and any(probe() for probe in probes if probe is not None)


def autocast(settings: RecogniserSettings, device: torch.device) -> Any:
    """The context in which the network is called while it learns."""
    enabled = settings.precision == "bf16" or (settings.precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
