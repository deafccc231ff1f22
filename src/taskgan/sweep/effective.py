"""What of a recipe counts: two recipes that differ only in settings without effect are one run."""

from typing import Any

from taskgan.core.files import value_digest
from taskgan.recipe import Recipe
from taskgan.train.folder import run_settings

_ADVERSARY = (
    "discriminator.",
    "loss.discriminator",
    "loss.label_smoothing",
    "optimiser.lr_discriminator",
    "monitor.discriminator_",
)
_TASK = ("loss.mu_task", "task.training", "task.loss", "task.features", "task.pretrain.", "optimiser.lr_task")


def effective_settings(recipe: Recipe) -> dict[str, Any]:
    """The settings that reach the result of a training run, by dotted key.

    Left out are those of a part that the objective does without (λ, D and its losses where there is no
    adversary; μ and all of T where nothing is asked of T; the cycle where there is none), and those that
    another setting switches off (``label_smoothing`` is for ``bce``, ``decay`` for a schedule that falls). The
    objective is the one that is left: ``task_gan`` with μ = 0 is ``gan``, ``gan`` with λ = 0 is ``l1``.

    Readers of the results are the base recipe's for all settings, so T and the judge do not count here beyond
    what they teach.
    """
    adversary, task = recipe.lambda_gan > 0, _uses_task(recipe)
    without: tuple[str, ...] = ("judge.",)
    if not recipe.unpaired:
        without += ("cycle.",)
    if not adversary:
        without += _ADVERSARY
    if not adversary or recipe.unpaired:
        without += ("loss.lambda_gan", "loss.feature_layers")
    if not task:
        without += _TASK
    elif recipe.task.training == "frozen":
        without += ("optimiser.lr_task",)
    if recipe.loss.discriminator != "bce":
        without += ("loss.label_smoothing",)
    if recipe.optimiser.schedule == "constant":
        without += ("optimiser.decay",)
    settings = {key: value for key, value in run_settings(recipe).items() if not key.startswith(without)}
    if not recipe.unpaired:
        settings["objective"] = "task_gan" if task else "gan" if adversary else "l1"
    if "loss.feature_layers" in settings:
        layers = recipe.loss.feature_layers
        picked = range(1, len(recipe.discriminator.widths)) if layers is None else layers
        settings["loss.feature_layers"] = sorted(set(picked))
    if settings.get("optimiser.lr_discriminator", 0.0) is None:
        settings["optimiser.lr_discriminator"] = recipe.optimiser.lr
    return settings


def run_digest(recipe: Recipe) -> str:
    """A name that two recipes share exactly if they are the same run."""
    return value_digest(effective_settings(recipe), 16)


def setting_digest(recipe: Recipe) -> str:
    """A name that two recipes share exactly if they differ in the seed alone."""
    return value_digest(
        {key: value for key, value in effective_settings(recipe).items() if key != "seed"}, 16
    )


def has_effect(recipe: Recipe, key: str) -> bool:
    """Whether a key says something about this recipe, if only that a weight is zero.

    λ of ``l1`` says nothing and is not shown; μ = 0 of ``task_gan`` does, though the run is that of ``gan``.
    """
    loss = recipe.loss
    awake = loss.model_copy(update={"lambda_gan": loss.lambda_gan or 1.0, "mu_task": loss.mu_task or 1.0})
    return key in effective_settings(recipe.model_copy(update={"loss": awake}))


def _uses_task(recipe: Recipe) -> bool:
    return recipe.objective == "task_gan" and (recipe.mu_task > 0 or recipe.task.features > 0)
