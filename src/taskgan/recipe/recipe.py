"""The recipe: every setting of a training run, typed, read from YAML, overridden by dotted keys.

An unknown key is an error that names it and its nearest neighbour. The paper's values are the defaults
where the paper prints them; the rest are settings (Table and equation numbers are the paper's).
"""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, read_yaml
from taskgan.core.parse import parse_yaml, quoted
from taskgan.core.settings import Settings, apply_override, validated
from taskgan.recipe.data import Data, check_dimensions
from taskgan.recipe.generator import Discriminator, Generator
from taskgan.recipe.phases import Phase, check_phases
from taskgan.recipe.task import RecogniserSettings, as_text, check_network
from taskgan.recipe.tasks import Task


class Loss(Settings):
    """Weights of Eq. 4 and the form of the adversarial terms.

    Attributes:
        lambda_gan: λ of Eq. 4 (not printed in the paper; the default was chosen on the validation subjects of
            the demo cohort, see ``results/pet-demo-weights``).
        mu_task: μ of Eq. 4 (likewise).
        discriminator: D's own loss: ``bce`` D(x) = 1, D(x̂) = 0; ``hinge``; ``least_squares``.
        feature_layers: Layers of D that Eq. 2 matches, from 0; None is all but the first.
        label_smoothing: D's target for clean images is 1 minus this (``bce`` only).
        coarse: Edges, in pixels (of volumes along all three axes), of the windows over whose means Eq. 1 is taken
            once more, so that a region's level counts by itself; e.g. ``[4, 8]``. Empty has no such term.
        coarse_weight: Of that term, the mean over the edges.
    """

    lambda_gan: float = Field(default=0.3, ge=0)
    mu_task: float = Field(default=0.01, ge=0)
    discriminator: Literal["bce", "hinge", "least_squares"] = "bce"
    feature_layers: tuple[int, ...] | None = None
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    coarse: tuple[Annotated[int, Field(ge=2, le=512)], ...] = Field(default=(), max_length=8)
    coarse_weight: float = Field(default=1.0, gt=0)


class Cycle(Settings):
    """What ``cycle_gan`` adds, with the values of Zhu et al. 2017 (10.1109/ICCV.2017.244).

    Its adversarial terms weigh 1 and have the form of ``loss.discriminator`` (theirs is ``least_squares``); λ and
    μ of Eq. 4 play no part in it, and neither does T.

    Where ``generator.residual`` adds the input to the output, both generators start as the identity, which
    costs neither cycle nor identity loss, and 10 |F(G(x̃)) − x̃| has its kink there: G stays there. Measured
    with a small G on 12 simulated PET subjects of 21.2 dB: still 21.2 dB after 600 steps, and after 160 with
    ``identity`` 0 or 5, any gradient clip (1, 10, none) and D by ``bce`` or ``least_squares``; without the
    residual 23.6 dB after 320 steps (GAN, paired: 27.8 dB after 160). So compare with ``generator.residual:
    false`` too. Gradients of G and F are some 25 times the default clip all the time, which Adam makes up
    for: clipping at 1, at 10 and not at all gave the same there.

    Attributes:
        weight: Of the cycle loss.
        identity: Of the identity loss (half of the cycle's there, where it is used: for photographs of paintings,
            to keep their colours); 0 leaves it out.
        buffer: Each D learns from a history of this many generated images beside the newest (Shrivastava et al.
            2017, 10.1109/CVPR.2017.241); 0 shows it the newest alone.
    """

    weight: float = Field(default=10.0, ge=0)
    identity: float = Field(default=5.0, ge=0)
    buffer: int = Field(default=50, ge=0, le=10000)


class DivergenceLimits(Settings):
    """A run is stopped where going on would be a waste. NaN and infinity always stop it.

    A discriminator has won when for ``discriminator_steps`` steps in a row it tells every pair apart (its loss
    is under ``discriminator_loss`` of what guessing costs) *and* G follows it alone without getting anywhere:
    λ·Eq. 2 is more than ``discriminator_share`` of Eq. 1 + λ·Eq. 2, and Eq. 1 does not fall. A sure D by
    itself is no failure here: feature matching goes on teaching where D's logit has long saturated. (With
    ``cycle_gan`` the weighted cycle loss stands in the place of Eq. 1, and G's adversarial loss in that of Eq. 2.)

    Attributes:
        discriminator_loss: See above.
        discriminator_steps: See above; 0 never stops.
        discriminator_share: See above.
        spread: An output whose standard deviation is under this share of the clean images' is constant.
        saturated: An output of bounded images with more than this share of its pixels at a bound is saturated
            (where the clean images have fewer).
        constant_steps: Steps in a row of constant or saturated output that stop a run; 0 never stops.
    """

    discriminator_loss: float = Field(default=0.01, gt=0, le=1)
    discriminator_steps: int = Field(default=1000, ge=0)
    discriminator_share: float = Field(default=0.9, gt=0, lt=1)
    spread: float = Field(default=0.01, ge=0, lt=1)
    saturated: float = Field(default=0.999, gt=0, le=1)
    constant_steps: int = Field(default=200, ge=0)


Objective = Literal["l1", "gan", "task_gan", "cycle_gan", "recogniser"]


_Beta = Annotated[float, Field(ge=0, lt=1)]


class Optimiser(Settings):
    """Adam (β = 0.5, 0.999). The paper prints a rate of 2e-3, pix2pix 2e-4.

    Attributes:
        steps: Optimiser steps.
        batch_size: Slices a step, over all devices.
        lr: Learning rate of G.
        lr_discriminator: Of D; None takes ``lr``.
        lr_task: Of T where it is trained jointly; None takes a tenth of ``lr``.
        betas: Adam's β.
        schedule: ``constant``; ``linear`` and ``cosine`` fall to zero over the last ``decay`` share of the steps.
        decay: See ``schedule``.
        warmup: Steps of linear rise at the start.
        clip: Largest norm of a network's gradient; 0 does not clip.
        ema: Decay of the moving average of G's weights, which is what is validated and shipped; 0 has none.
    """

    steps: int = Field(default=20000, ge=1)
    batch_size: int = Field(default=8, ge=1)
    lr: float = Field(default=2e-4, gt=0)
    lr_discriminator: float | None = Field(default=None, gt=0)
    lr_task: float | None = Field(default=None, gt=0)
    betas: tuple[_Beta, _Beta] = (0.5, 0.999)
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    decay: float = Field(default=0.5, gt=0, le=1)
    warmup: int = Field(default=0, ge=0)
    clip: float = Field(default=1.0, ge=0)
    ema: float = Field(default=0.999, ge=0, lt=1)


class ValidationSettings(Settings):
    """Validation: the step that does best on the validation subjects becomes the model.

    Attributes:
        every: Steps between looks.
        metric: ``psnr`` of whole volumes, or ``objective`` (the run's own Eq. 4 without the adversarial term; for
            ``cycle_gan``, whose validation subjects have pairs, Eq. 1).
        patience: Looks without a better value before training stops; 0 never stops early.
        cases: At most this many cases (drawn by the seed); 0 is all.
        save_every: Steps between checkpoints (a validation always saves one).
    """

    every: int = Field(default=500, ge=1)
    metric: Literal["psnr", "objective"] = "psnr"
    patience: int = Field(default=0, ge=0)
    cases: int = Field(default=0, ge=0)
    save_every: int = Field(default=500, ge=1)


class Machine(Settings):
    """Where it runs and how. ``auto`` takes what was measured to be faster on this machine, once per machine
    and network, so that the objectives of one experiment get the same choice.

    Attributes:
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps`` (Lightning Fabric).
        devices: Devices a node.
        nodes: Nodes.
        precision: ``32``, ``bf16`` or ``16`` (mixed).
        channels_last: Memory format of images and weights.
        compile: ``torch.compile`` of the networks.
        threads: CPU threads; 0 leaves it to torch.
    """

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: int = Field(default=1, ge=1)
    nodes: int = Field(default=1, ge=1)
    precision: Annotated[Literal["auto", "32", "bf16", "16"], BeforeValidator(as_text)] = "auto"
    channels_last: bool | Literal["auto"] = "auto"
    compile: bool | Literal["auto"] = "auto"
    threads: int = Field(default=0, ge=0, le=256)


class Recipe(Settings):
    """Everything that decides a run.

    Attributes:
        objective: ``l1`` (λ = μ = 0), ``gan`` (μ = 0), ``task_gan``, or ``cycle_gan`` (unpaired, see
            :class:`~taskgan.recipe.recipe.Cycle`). ``recogniser`` trains T and the judge, and no generator.
        seed: Initial weights, data order, dropout, augmentation.
        fold: Recorded with results; the split itself is in ``pairs.csv``.
        judge: How the independent judge is trained (other network, other seed, clean images only).
        monitor: When a run counts as diverged and is stopped.
        schedule: Phases of the run (see :class:`~taskgan.recipe.phases.Phase`), whose steps add up to
            ``optimiser.steps``, which may be left out; empty is one phase in which everybody learns from everything.
    """

    objective: Objective = "task_gan"
    seed: int = Field(default=0, ge=0)
    fold: int = Field(default=0, ge=0)
    data: Data = Data()
    generator: Generator = Generator()
    discriminator: Discriminator = Discriminator()
    task: Task = Task()
    judge: RecogniserSettings = RecogniserSettings(network="convnet", seed=1000)
    loss: Loss = Loss()
    cycle: Cycle = Cycle()
    optimiser: Optimiser = Optimiser()
    schedule: tuple[Phase, ...] = ()
    validation: ValidationSettings = ValidationSettings()
    monitor: DivergenceLimits = DivergenceLimits()
    machine: Machine = Machine()

    @property
    def lambda_gan(self) -> float:
        """λ as the objective uses it; the adversarial terms of ``cycle_gan`` weigh 1."""
        return {"l1": 0.0, "cycle_gan": 1.0}.get(self.objective, self.loss.lambda_gan)

    @property
    def mu_task(self) -> float:
        """μ as the objective uses it."""
        return self.loss.mu_task if self.objective == "task_gan" else 0.0

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All properties, the first one first."""
        return (self.task, *self.task.others)

    @property
    def taught_by(self) -> dict[str, Task]:
        """The tasks that G learns from, by the name of their network: ``task``, ``task_<title>`` of a further one."""
        if self.objective != "task_gan":
            return {}
        named = {f"task_{task.title}" if k else "task": task for k, task in enumerate(self.tasks)}
        return {name: task for name, task in named.items() if self.loss.mu_task * task.weight or task.features}

    def about(self, title: str | None = None) -> "Recipe":
        """The same recipe with one of its properties first, which is then what judges read.

        Args:
            title: Of the task; None is the first.

        Raises:
            UserError: If there is no such task.
        """
        by_title = {task.title: task for task in self.tasks}
        if title is not None and title not in by_title:
            raise UserError(f"there is no task {quoted(title)}, expected one of {', '.join(by_title)}")
        if title in (None, self.task.title):
            return self
        wanted = by_title[title]
        first = self.task.model_copy(update={"others": (), "judge": self.judge})
        others = (first, *(task for task in self.task.others if task is not wanted))
        task = wanted.model_copy(update={"others": others, "judge": None})
        return self.model_copy(update={"task": task, "judge": wanted.judge or self.judge})

    @property
    def trains_recognisers_only(self) -> bool:
        """Whether T and the judge are trained and nothing is restored."""
        return self.objective == "recogniser"

    @property
    def unpaired(self) -> bool:
        """Whether the clean slices of a step are of other subjects than the degraded ones."""
        return self.objective == "cycle_gan"

    @model_validator(mode="before")
    @classmethod
    def _steps_of_the_phases(cls, values: Any) -> Any:
        """The number of steps may be left to the phases."""
        if not isinstance(values, dict) or not isinstance(values.get("schedule"), list | tuple):
            return values
        optimiser = values.get("optimiser", {})
        counts: list[Any] = [phase.get("steps") if isinstance(phase, dict) else None for phase in values["schedule"]]
        known = counts and all(type(n) is int for n in counts)
        if known and isinstance(optimiser, dict) and "steps" not in optimiser:
            return values | {"optimiser": optimiser | {"steps": sum(counts)}}
        return values

    @model_validator(mode="after")
    def _phases_make_a_run(self) -> "Recipe":
        known = self.data.conditions if self.data.condition else None
        check_phases(self.schedule, steps=self.optimiser.steps, conditions=known)
        pair = {"generator", "discriminator"}
        for phase in self.schedule:
            if self.unpaired and pair & set(phase.trains) and not pair <= set(phase.trains):
                raise ValueError(
                    f"phase {phase.name} trains {', '.join(phase.trains)}; cycle_gan trains generators and "
                    "discriminators together, expected both or neither"
                )
            if phase.trains == ("task",) and any(task.kind == "embedding" for task in self.tasks):
                raise ValueError(
                    f"phase {phase.name} trains the task network alone, which cannot learn an embedding from Eq. 3; "
                    "expected task.pretrain to teach it"
                )
        return self

    @model_validator(mode="after")
    def _sections_agree(self) -> "Recipe":
        self.data.start(self.generator.residual)
        check_dimensions(self.generator, self.data)
        if self.generator.dimensions == 2:
            if (level := next((task.title for task in self.tasks if task.level == "volume"), None)) is not None:
                raise ValueError(f"task.level is volume ({level}), which is of blocks; expected generator.dimensions 3")
            if self.discriminator.dimensions == 3:
                raise ValueError("discriminator.dimensions is 3, expected 2, or generator.dimensions 3")
        if self.unpaired and (self.data.context or self.data.patch):
            raise ValueError("cycle_gan has no data.context and no data.patch: its way back makes single slices")
        if self.unpaired and self.data.colour == "rgb":
            raise ValueError("cycle_gan restores luminance; expected data.colour luminance, or another objective")
        if self.unpaired and self.loss.coarse:
            raise ValueError("loss.coarse is a form of Eq. 1, which cycle_gan does without; expected []")
        if self.unpaired and self.discriminator.conditional:
            raise ValueError(
                "discriminator.conditional is true, which shows D the degraded image of each clean one; "
                "cycle_gan has no such pairs, expected false"
            )
        picked, last = self.loss.feature_layers, len(self.discriminator.widths) - 1
        if picked is not None and (not picked or min(picked) < 0 or max(picked) > last):
            raise ValueError(
                f"loss.feature_layers is {list(picked)}, expected some of the discriminator's layers 0 to {last}"
            )
        return self

    @model_validator(mode="after")
    def _judges_are_independent(self) -> "Recipe":
        if self.task.judge is not None:
            raise ValueError("the first task has a judge of its own, expected the recipe's section judge in its place")
        for k, task in enumerate(self.tasks):
            judge, where = task.judge or self.judge, f"task.{k}.judge" if k else "judge"
            if not judge.steps:
                raise ValueError(f"{where}.steps is 0, expected at least 1: an untrained network judges nothing")
            check_network(judge, task, where)
            if judge.facts.own:  # nothing of it is drawn: another file is another network
                if judge.weights == task.pretrain.weights:
                    raise ValueError(f"{where}.weights is {judge.weights}, as T's is: T is never its own judge")
            elif judge.network == task.pretrain.network or (
                judge.seed == task.pretrain.seed and not task.pretrain.facts.own
            ):
                raise ValueError(
                    f"the judge must differ from the task network in both network and seed "
                    f"(both have {judge.network} or seed {judge.seed}, {where}): T is never its own judge"
                )
            for name, network in ((f"task.{k}.pretrain" if k else "task.pretrain", task.pretrain), (where, judge)):
                if network.facts.released and not network.facts.own and self.data.intensity.output != "unit":
                    raise ValueError(
                        f"{name}.network is {network.network}, which reads images of 0 to 1, but "
                        f"data.intensity.output is {self.data.intensity.output}; expected unit"
                    )
        return self


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("taskgan") / "recipes"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def read_recipe(name: PathLike, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply overrides.

    Args:
        name: A YAML file, or the name of a shipped recipe such as ``pet``.
        overrides: ``section.key=value`` each; the value is read as YAML.

    Raises:
        UserError: If there is no such recipe, or an override is not of that form.
        Problems: If keys are unknown or values are out of range: all of them at once.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        values, source = read_yaml(path), str(path)
    elif str(name) in shipped_recipes():
        text = (resources.files("taskgan") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
        values, source = parse_yaml(text, f"recipe {name}"), f"recipe {name}"
    else:
        raise UserError(f"no recipe {quoted(str(name))}: expected a YAML file or one of {', '.join(shipped_recipes())}")
    for override in overrides:
        apply_override(values, override)
    return parse_recipe(values, source)


def parse_recipe(values: dict[str, Any], source: str) -> Recipe:
    """Check a mapping and make a recipe of it; ``source`` is what messages call it.

    Raises:
        Problems: Every unknown key and bad value, each in a sentence.
    """
    return validated(Recipe, values, f"{source} is not a valid recipe")


def dump_recipe(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain values for YAML; reading it back gives an equal recipe."""
    return recipe.model_dump(mode="json")
