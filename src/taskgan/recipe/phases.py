"""A run in phases: settings of a recipe, and who learns in a step."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from taskgan.core.settings import Settings
from taskgan.recipe.task import as_names

if TYPE_CHECKING:
    from taskgan.recipe.recipe import Optimiser


Learner = Literal["task", "generator", "discriminator"]
LEARNERS: tuple[Learner, ...] = ("task", "generator", "discriminator")
_WAYS = ("mixed", "in_turn")


def _condition_mode(value: object) -> object:
    if isinstance(value, str) and value not in _WAYS:
        raise ValueError("expected mixed, in_turn or a list of conditions")
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("expected mixed, in_turn or a list of at least one condition")
        return tuple(str(name) for name in value)
    return value


class Phase(Settings):
    """A part of a run: who learns, from which conditions, for how long.

    The paper's MR experiment has three: T alone learns the contrasts; one contrast per epoch, in turn; contrasts
    mixed at random.

    A network that an objective does without (T for ``gan``, D for ``l1``) or that is frozen is nobody; a phase in
    which nobody is left to learn is passed over, and the steps after it keep their numbers: the objectives of one
    experiment then give G the same steps on the same slices.

    Attributes:
        name: What it is called in ``metrics.csv`` and on the screen.
        steps: Optimiser steps.
        trains: Which networks learn. ``task`` alone learns from clean images; with ``generator`` or
            ``discriminator`` the step is that of the objective, for those that learn. (The degrading generator of
            ``cycle_gan`` goes with ``generator``, its D with ``discriminator``.)
        conditions: ``mixed`` draws from all conditions; ``in_turn`` from one after the other, round after round; a
            list from these alone, mixed.
        turn: Steps that a condition's turn takes; None is one epoch of its slices.
    """

    name: str = Field(min_length=1)
    steps: int = Field(ge=1)
    trains: Annotated[tuple[Learner, ...], BeforeValidator(as_names)] = LEARNERS
    conditions: Annotated[str | tuple[str, ...], BeforeValidator(_condition_mode)] = "mixed"
    turn: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _makes_sense(self) -> "Phase":
        if not self.trains or len(set(self.trains)) < len(self.trains):
            raise ValueError(f"phase {self.name}: trains names networks once each, and at least one")
        if self.turn is not None and self.conditions != "in_turn":
            raise ValueError(f"phase {self.name} has a turn, which is for conditions: in_turn")
        return self

    @property
    def named_conditions(self) -> tuple[str, ...]:
        """The conditions that it is about, where it names some."""
        return () if isinstance(self.conditions, str) else self.conditions


def check_phases(phases: tuple[Phase, ...], *, steps: int, conditions: tuple[str, ...] | None) -> None:
    """See that phases go together and make a run.

    Args:
        phases: All of a run, in order.
        conditions: Those that are known; empty where they are not known yet, None where there are none.

    Raises:
        ValueError: If they do not.
    """
    if not phases:
        return
    names = [phase.name for phase in phases]
    if len(set(names)) < len(names):
        raise ValueError(f"the phases of schedule are called {', '.join(names)}: expected each name once")
    total = sum(phase.steps for phase in phases)
    if total != steps:
        raise ValueError(
            f"the phases of schedule have {' + '.join(str(p.steps) for p in phases)} = {total} steps, "
            f"optimiser.steps is {steps}: expected the same, or optimiser.steps left out"
        )
    if "generator" not in phases[-1].trains:
        raise ValueError(
            f"the last phase, {names[-1]}, trains {', '.join(phases[-1].trains)}; expected the generator too, "
            "which is what a run is for"
        )
    for phase in phases:
        if phase.conditions != "mixed" and conditions is None:
            raise ValueError(
                f"phase {phase.name} tells conditions apart, but data.condition names no column, e.g. contrast"
            )
        strange = [name for name in phase.named_conditions if conditions and name not in conditions]
        if strange:
            raise ValueError(
                f"phase {phase.name} names the condition{'s' * (len(strange) > 1)} {', '.join(strange)}, "
                f"expected some of {', '.join(conditions or ())}"
            )


_GOES_WITH = {"degrader": "generator", "degraded_discriminator": "discriminator"}


def role(network: str) -> str:
    """What a phase calls a network: every task network is a ``task``."""
    return "task" if network.startswith("task") else _GOES_WITH.get(network, network)


@dataclass(frozen=True)
class Stage:
    """A phase of a run in its place. ``name``: the phase's; empty where the run has one phase only."""

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


def rate_factor(settings: "Optimiser", step: int, steps: int | None = None) -> float:
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
