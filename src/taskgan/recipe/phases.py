"""A run in phases: settings of a recipe."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from taskgan.core.settings import Settings
from taskgan.recipe.task import as_names

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
