"""All that a run holds while it trains, and its conversion to and from a checkpoint."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from taskgan.cohort.dataset import Batch
from taskgan.core.errors import Diverged, UserError
from taskgan.core.parse import error_text
from taskgan.core.tensors import nonfinite_tensor
from taskgan.model.folder import ModelCard
from taskgan.networks.generator import memory_format
from taskgan.recipe import Recipe
from taskgan.recipe.phases import Stages
from taskgan.train.devices import MachineChoice
from taskgan.train.folder import CHECKPOINT, save_checkpoint, weights_checksum
from taskgan.train.metrics import Monitor
from taskgan.train.networks import Networks


class Ema:
    """Follows a network: average ← d·average + (1 − d)·weights after every step.

    Running statistics of a batch norm are averaged like weights, so that they belong to the averaged weights.
    Early on d is (1 + step) / (10 + step), so that the average does not remember the initial weights for long.

    Args:
        decay: d, 0 to below 1. At 0 the average is the network itself and nothing is copied or computed.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._followed, self._decay = network, decay
        self.network = copy.deepcopy(network).requires_grad_(False).eval() if decay else network

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step ``step`` (from 0)."""
        if not self._decay:
            return
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        ours, theirs = self.network.state_dict(), self._followed.state_dict()
        floating = [name for name, value in ours.items() if value.is_floating_point()]
        torch._foreach_lerp_([ours[n] for n in floating], [theirs[n] for n in floating], share)
        for name in ours.keys() - set(floating):
            ours[name].copy_(theirs[name])

    def state_dict(self) -> dict[str, Any]:
        """Weights of the average; empty where there is none."""
        return dict(self.network.state_dict()) if self._decay else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        if self._decay:
            self.network.load_state_dict(state)


@dataclass
class TrainState:
    """How far a run is.

    Attributes:
        best: Validation value of the best look (larger is better), or None before the first.
        saved: Step of the last checkpoint, or None where there is none.
    """

    done: int = 0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    finished: bool = False
    saved: int | None = None


@dataclass
class Session:
    """A run in progress.

    Attributes:
        frozen_checksums: Checksums of the networks that do not learn, once they were asked for.
        window: Figures of the steps since the last row of ``metrics.csv``.
    """

    recipe: Recipe
    folder: Path
    fabric: Any
    networks: Networks
    ema: Ema
    monitor: Monitor
    machine: MachineChoice
    card: ModelCard
    stages: Stages
    state: TrainState = field(default_factory=TrainState)
    frozen_checksums: dict[str, str] = field(default_factory=dict)
    window: list[dict[str, Tensor]] = field(default_factory=list)

    def to_device(self, batch: Batch) -> Batch:
        """A batch on the device, in the memory format of the networks."""
        layout = memory_format(batch.inputs, self.networks.channels_last)
        inputs, clean = (
            image.to(self.fabric.device, non_blocking=True, memory_format=layout)
            for image in (batch.inputs, batch.clean)
        )
        label, *further = (y.to(self.fabric.device, non_blocking=True) for y in (batch.label, *batch.further))
        return Batch(inputs, clean, label, tuple(further))

    def save(self) -> None:
        """Write the checkpoint, from the first process.

        Raises:
            Diverged: If a network holds NaN: the old checkpoint then stays.
        """
        state, frozen = self.state, self.networks.frozen()
        networks = {name: n for name, n in self.networks.by_name().items() if name not in frozen}
        # Asked by every process, so that all of them stop.
        broken = next((name for name, network in networks.items() if nonfinite_tensor(network.state_dict())), None)
        if broken:
            raise self.diverged_error(state.done, f"the weights of the {broken} became NaN or infinite")
        state.saved = state.done
        random = {"cpu": torch.get_rng_state()}
        if self.fabric.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.fabric.device)
        if self.fabric.global_rank == 0:
            save_checkpoint(
                self.folder,
                {
                    "standing": dict(vars(state)),
                    "choice": self.machine.to_dict(),
                    "networks": {name: network.state_dict() for name, network in networks.items()},
                    "frozen": {name: self._frozen_checksum(name) for name in frozen},
                    "ema": self.ema.state_dict(),
                    "optimiser": self.networks.optimiser.state_dict(),
                    "precision": self.fabric.strategy.precision.state_dict(),
                    "monitor": self.monitor.state_dict(),
                    "histories": {n: h.state_dict() for n, h in self.networks.image_buffers().items()},
                    "random": random,
                    "window": [{name: v.detach().cpu() for name, v in f.items()} for f in self.window],
                },
            )

    def load(self, state: dict[str, Any]) -> None:
        """Take everything back from a checkpoint.

        Raises:
            UserError: If a network that does not learn is another than the one that the run began with, or the
                checkpoint is damaged or of another run.
        """
        try:
            self._take_back(state)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError) as error:
            raise UserError(
                f"{self.folder / CHECKPOINT} is damaged or of another run ({error_text(error)}); start "
                "anew with --overwrite"
            ) from None

    def _take_back(self, state: dict[str, Any]) -> None:
        for name, mark in state["frozen"].items():
            if mark != self._frozen_checksum(name):
                raise UserError(
                    f"the {name} network is another than the one that {self.folder} began with (checksum "
                    f"{self._frozen_checksum(name)[:12]}, expected {mark[:12]}): put that back, or start "
                    "anew with --overwrite"
                )
        self.state = TrainState(**state["standing"])
        for name, network in self.networks.by_name().items():
            if name not in state["frozen"]:
                try:
                    network.load_state_dict(state["networks"][name])
                except RuntimeError as error:
                    raise UserError(
                        f"the {name} network does not fit {self.folder / CHECKPOINT}, expected the one "
                        "that the run began "
                        f"with: {str(error).splitlines()[-1].strip()}"
                    ) from None
        self.ema.load_state_dict(state["ema"])
        self.networks.optimiser.load_state_dict(state["optimiser"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.monitor.load_state_dict(state["monitor"])
        for name, history in self.networks.image_buffers().items():
            history.load_state_dict(state["histories"][name])
        device = self.fabric.device
        self.window = [{name: v.to(device) for name, v in f.items()} for f in state.get("window", ())]
        # Every step seeds its own draws; the state is for whatever a later version may draw beside them.
        torch.set_rng_state(state["random"]["cpu"])
        if self.fabric.device.type == "cuda" and "cuda" in state["random"]:
            torch.cuda.set_rng_state(state["random"]["cuda"], self.fabric.device)

    def _frozen_checksum(self, name: str) -> str:
        """Checksum of a network that does not learn; half a gigabyte is not summed at every save."""
        if name not in self.frozen_checksums:
            self.frozen_checksums[name] = weights_checksum(self.networks.by_name()[name])
        return self.frozen_checksums[name]

    def diverged_error(self, step: int, what: str) -> Diverged:
        """The error that says what happened, when, and what is still good."""
        saved = self.state.saved
        good = (
            f"the last good checkpoint is {self.folder / CHECKPOINT} (step {saved})" if saved else "none was saved yet"
        )
        weight = "higher cycle.weight" if self.recipe.unpaired else "lower loss.lambda_gan"
        return Diverged(
            f"training diverged at step {step}: {what}; {good}. A lower optimiser.lr, or a {weight} or a lower "
            "optimiser.lr_discriminator where D is the cause, usually helps"
        )
