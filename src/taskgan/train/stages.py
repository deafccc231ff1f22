"""Who learns in a step: the recipe's phases and the networks that there are."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from taskgan.recipe import Optimiser
from taskgan.recipe.phases import Phase

_GOES_WITH = {"degrader": "generator", "degraded_discriminator": "discriminator"}


def role(network: str) -> str:
    """What a phase calls a network: every task network is a ``task``."""
    return "task" if network.startswith("task") else _GOES_WITH.get(network, network)


@dataclass(frozen=True)
class Stage:
    """A phase of a run in its place.

    Attributes:
        name: The phase's; empty where the run has one phase only.
    """

    name: str
    start: int
    stop: int
    learners: frozenset[str]

    @property
    def trains_generator(self) -> bool:
        """Whether G learns."""
        return "generator" in self.learners

    @property
    def task_alone(self) -> bool:
        """Whether T learns and nobody else."""
        return bool(self.learners) and all(role(name) == "task" for name in self.learners)


class Stages:
    """The phases of a run, for the networks that it has.

    Every network has a clock of its own, the steps in which it learns: its learning rate rises and falls over
    these, and the averaging of G begins with them. Stages in which nobody learns are passed over.

    Args:
        phases: Of the recipe; none is one in which everybody learns.
    """

    def __init__(self, phases: Sequence[Phase], steps: int, networks: Iterable[str]) -> None:
        there = frozenset(networks)
        self._stages: list[Stage] = []
        start = 0
        for phase in phases:
            learners = frozenset(name for name in there if role(name) in phase.trains)
            self._stages.append(Stage(phase.name, start, start + phase.steps, learners))
            start += phase.steps
        if not phases:
            self._stages.append(Stage("", 0, steps, there))

    @property
    def idle(self) -> list[Stage]:
        """Stages in which nobody learns."""
        return [stage for stage in self._stages if not stage.learners]

    @property
    def last(self) -> Stage:
        """The stage that the run ends with."""
        return self._stages[-1]

    def stage_at(self, step: int) -> Stage:
        """The stage of a step."""
        return next(stage for stage in self._stages if step < stage.stop)

    def next_step(self, step: int) -> int:
        """The first step from this one on in which somebody learns; the number of steps where there is none."""
        for stage in self._stages:
            if step < stage.stop and stage.learners:
                return max(step, stage.start)
        return self._stages[-1].stop

    def steps_from(self, start: int) -> list[int]:
        """All steps from one on in which somebody learns."""
        return [step for stage in self._stages if stage.learners for step in range(max(start, stage.start), stage.stop)]

    def steps_learnt(self, network: str, step: int) -> int:
        """How many steps a network has learnt in before this one."""
        return sum(max(0, min(step, stage.stop) - stage.start) for stage in self._stages if network in stage.learners)

    def steps_in_total(self, network: str) -> int:
        """How many steps a network learns in."""
        return self.steps_learnt(network, self._stages[-1].stop)


def rate_factor(settings: Optimiser, step: int, steps: int | None = None) -> float:
    """Share of the learning rate at a step of a network.

    Rises linearly over ``warmup`` steps, stays at 1, and falls over the last ``decay`` share of the steps:
    ``linear`` straight to zero, ``cosine`` along half a cosine.

    Args:
        step: From 0, counting the steps in which the network learns.
        steps: In how many it learns; None is all of the run's.

    Returns:
        Above 0 and at most 1: also the first and the last step do something.
    """
    rise = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    if settings.schedule == "constant":
        return rise
    steps = settings.steps if steps is None else steps
    length = max(1.0, settings.decay * steps)
    left = min(1.0, (steps - step) / length)
    fall = left if settings.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left))
    return rise * fall
