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
from taskgan.recipe.generator import Discriminator as Discriminator
from taskgan.recipe.generator import Generator as Generator
from taskgan.recipe.losses import Cycle, DivergenceLimits, Loss
from taskgan.recipe.phases import Phase, check_phases
from taskgan.recipe.task import Augment as Augment
from taskgan.recipe.task import Norm as Norm
from taskgan.recipe.task import RecogniserSettings as RecogniserSettings
from taskgan.recipe.task import Target as Target
from taskgan.recipe.task import Task as Task
from taskgan.recipe.task import check_network

Objective = Literal["l1", "gan", "task_gan", "cycle_gan", "recogniser"]


def _text(value: object) -> object:
    """YAML reads 32 as a number; as a precision it is a name."""
    return str(value) if type(value) is int else value


_Beta = Annotated[float, Field(ge=0, lt=1)]


class IntensityTransform(Settings):
    """What a network sees of an image: how the scale is found that its values are divided by.

    See :mod:`taskgan.images.intensity`.

    Attributes:
        kind: ``mean_nonzero``: mean of the voxels above zero (the paper's sister work). ``mean_foreground``:
            mean of the voxels above a tenth of the 99th percentile, for images whose background is noise
            rather than zero. ``percentile``: the given percentile. ``none``: 1.
        percentile: For ``percentile``.
        shared: Further inputs of a case are divided by the scale of its degraded image too. Real and imaginary
            parts of one acquisition, or its echoes, mean something only beside each other; without it each
            further input has a scale of its own, which is right for another modality.
        output: What values an image can have, which decides the generator's last activation:
            ``nonnegative`` (PET), ``real`` (complex MR parts), ``unit`` (0 to 1).
    """

    kind: Literal["mean_nonzero", "mean_foreground", "percentile", "none"] = "mean_nonzero"
    percentile: float = Field(default=99.5, gt=0, le=100)
    shared: bool = False
    output: Literal["nonnegative", "real", "unit"] = "nonnegative"


class Data(Settings):
    """Which columns and rows of ``pairs.csv`` become samples.

    Attributes:
        inputs: Image columns stacked as input channels; the first is the degraded image.
        select: Only rows whose columns hold these values, e.g. ``{dose: 1}``.
        neighbours: Slices on either side that join as channels (2.5D); 0 is 2D.
        min_signal: Training leaves out slices whose clean mean is under this share of the volume's mean.
        balanced: Draw the classes of the property equally often, whatever their numbers in the cohort (``binary``
            and ``multi_class``; the other kinds have no classes to balance). The name of a column draws its values
            equally often, for any kind.
        workers: Loader processes; 0 loads in the main one.
        augment: See :class:`Augment`.
        intensity: See :class:`IntensityTransform`.
        condition: Column of ``pairs.csv`` that says which of several clean images (contrasts) a row is about; the
            generator is told by one-hot planes after all its other input channels. Empty: there is one.
        axes: Axes in which volumes are cut into slices along the third, e.g. ``LAS``; files in others are turned and
            what is made of them is turned back. Empty takes those of the first training image: axial slices, or the
            acquired ones where slices are thick.
        conditions: The column's values, in the order of the planes. Empty takes those of the training rows, in the
            order of their labels where every value has one of its own, else in alphabetical order.
    """

    inputs: tuple[str, ...] = ("degraded",)
    select: dict[str, str | int | float] = Field(default_factory=dict)
    neighbours: int = Field(default=0, ge=0, le=16)
    min_signal: float = Field(default=0.05, ge=0, lt=1)
    balanced: bool | str = True
    workers: int = Field(default=0, ge=0)
    augment: Augment = Augment()
    intensity: IntensityTransform = IntensityTransform()
    condition: str = ""
    axes: str = Field(
        default="", pattern="^([RL][AP][SI]|[RL][SI][AP]|[AP][RL][SI]|[AP][SI][RL]|[SI][RL][AP]|[SI][AP][RL])?$"
    )
    conditions: tuple[Annotated[str, BeforeValidator(_text)], ...] = ()

    @model_validator(mode="after")
    def _degraded_first(self) -> "Data":
        if not self.inputs or self.inputs[0] != "degraded":
            raise ValueError("the first input must be 'degraded'")
        if "clean" in self.inputs or len(set(self.inputs)) < len(self.inputs):
            raise ValueError(f"inputs are {', '.join(self.inputs)}: expected each once, and not the clean image")
        return self

    @model_validator(mode="after")
    def _pairs_stay_sharp(self) -> "Data":
        if self.augment.blur or self.augment.erase:
            raise ValueError(
                f"augment.blur is {self.augment.blur:g} and augment.erase {self.augment.erase:g}, which would teach "
                "a restorer to blur and to leave out; expected 0 (they are for task.pretrain and judge)"
            )
        return self

    @model_validator(mode="after")
    def _conditions_are_names(self) -> "Data":
        if self.conditions and not self.condition:
            raise ValueError("conditions are named but not their column, expected data.condition, e.g. contrast")
        if len(set(self.conditions)) < len(self.conditions) or "" in self.conditions:
            raise ValueError(f"conditions are {', '.join(self.conditions)}: expected names, each once")
        return self

    @property
    def channels(self) -> int:
        """Input channels of the generator: images, then a plane for each condition.

        Raises:
            ValueError: If there is a condition whose values nobody has looked up yet.
        """
        if self.condition and not self.conditions:
            raise ValueError(f"the values of {self.condition} are not known before the training rows are read")
        return len(self.inputs) * (2 * self.neighbours + 1) + len(self.conditions)


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
    precision: Annotated[Literal["auto", "32", "bf16", "16"], BeforeValidator(_text)] = "auto"
    channels_last: bool | Literal["auto"] = "auto"
    compile: bool | Literal["auto"] = "auto"
    threads: int = Field(default=0, ge=0, le=256)


class Recipe(Settings):
    """Everything that decides a run.

    Attributes:
        objective: ``l1`` (λ = μ = 0), ``gan`` (μ = 0), ``task_gan``, or ``cycle_gan`` (unpaired, see
            :class:`~taskgan.recipe.losses.Cycle`). ``recogniser`` trains T and the judge, and no generator.
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
        if (
            isinstance(optimiser, dict)
            and "steps" not in optimiser
            and counts
            and all(type(n) is int for n in counts)
        ):
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
            if phase.trains == ("task",) and self.task.kind == "embedding":
                raise ValueError(
                    f"phase {phase.name} trains the task network alone, which cannot learn an embedding from Eq. 3; "
                    "expected task.pretrain to teach it"
                )
        return self

    @model_validator(mode="after")
    def _judge_learns(self) -> "Recipe":
        if not self.judge.steps:
            raise ValueError("judge.steps is 0, expected at least 1: an untrained network judges nothing")
        return self

    @model_validator(mode="after")
    def _pairs_are_there(self) -> "Recipe":
        if self.unpaired and self.discriminator.conditional:
            raise ValueError(
                "discriminator.conditional is true, which shows D the degraded image of each clean one; "
                "cycle_gan has no such pairs, expected false"
            )
        return self

    @model_validator(mode="after")
    def _layers_are_there(self) -> "Recipe":
        picked, last = self.loss.feature_layers, len(self.discriminator.widths) - 1
        if picked is not None and (not picked or min(picked) < 0 or max(picked) > last):
            raise ValueError(
                f"loss.feature_layers is {list(picked)}, expected some of the discriminator's layers 0 to {last}"
            )
        return self

    @model_validator(mode="after")
    def _judge_is_not_the_task(self) -> "Recipe":
        check_network(self.judge, self.task, "judge")
        if self.judge.network == self.task.pretrain.network or self.judge.seed == self.task.pretrain.seed:
            raise ValueError(
                "the judge must differ from the task network in both network and seed "
                f"(both have {self.judge.network} or seed {self.judge.seed}): T is never its own judge"
            )
        return self

    @model_validator(mode="after")
    def _released_networks_see_photos(self) -> "Recipe":
        for where, network in (("task.pretrain", self.task.pretrain), ("judge", self.judge)):
            if network.released and self.data.intensity.output != "unit":
                raise ValueError(
                    f"{where}.network is {network.network}, which reads images of 0 to 1, but "
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
        raise UserError(
            f"no recipe {quoted(str(name))}: expected a YAML file or one of {', '.join(shipped_recipes())}"
        )
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
