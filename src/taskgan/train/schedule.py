"""The learning rate over a run."""

import math

from taskgan.recipe import Optimiser


def rate_factor(settings: Optimiser, step: int, steps: int | None = None) -> float:
    """Share of the learning rate at a step of a network.

    Rises linearly over ``warmup`` steps, stays at 1, and falls over the last ``decay`` share of the steps:
    ``linear`` straight to zero, ``cosine`` along half a cosine.

    Args:
        settings: Of the optimiser.
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
