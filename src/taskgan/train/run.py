"""``taskgan train``: from a recipe and a cohort to a run folder with a model in it."""

import copy
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from taskgan.cohort.check import check_cohort
from taskgan.cohort.conditions import check_projection, condition_of, numbers_of
from taskgan.cohort.dataset import Steps, TrainingSlices, load_batches
from taskgan.cohort.folder import fingerprint, read_description
from taskgan.cohort.pairs import REQUIRED, Pairs, image_digests, read_pairs, subject_digests
from taskgan.cohort.slices import Array, Case
from taskgan.cohort.targets import Targets, resolved_recipe
from taskgan.cohort.unpaired import UnpairedSteps
from taskgan.core.artefact import commit, differing
from taskgan.core.console import say
from taskgan.core.errors import UserError, signals_held
from taskgan.core.files import PathLike, write_yaml
from taskgan.core.lock import locked
from taskgan.core.tensors import warn_of_emulated_bf16
from taskgan.degrade.degradation import Degradation
from taskgan.images.photos import is_photo_name
from taskgan.images.statistics import content_of
from taskgan.images.volumes import bids_suffix, read_shape, read_sidecar
from taskgan.judges.read import suvr_line
from taskgan.judges.store import check_weights, recogniser_for
from taskgan.model.folder import METADATA_FIELDS, ModelCard, Range, TrainingDomain, read_model, write_card
from taskgan.model.restorer import Restorer
from taskgan.recipe import Recipe, read_recipe
from taskgan.recipe.phases import Stages
from taskgan.train.devices import MachineChoice, after_first_process, device_of, start_fabric, torch_switches
from taskgan.train.folder import (
    METRICS,
    RECIPE,
    RECORD,
    WarmStart,
    create_run,
    first_process,
    load_checkpoint,
    new_record,
    open_run,
    read_start,
)
from taskgan.train.loop import train_loop
from taskgan.train.machine import choose_machine
from taskgan.train.metrics import MetricsLogger, Monitor, extra_columns
from taskgan.train.networks import CustomNetworks, build_networks, build_task
from taskgan.train.session import Ema, Session
from taskgan.train.validation import Validation


def train(
    recipe: Recipe | PathLike,
    cohort: Pairs | PathLike,
    run: PathLike,
    *,
    networks: CustomNetworks | None = None,
    start: PathLike | None = None,
    overwrite: bool = False,
) -> Path:
    """Train a restorer, or go on with one; of objective ``recogniser`` the readers alone.

    Called again on an unfinished run with the same recipe it goes on from the last checkpoint; on the CPU the
    result then equals that of an uninterrupted run to the bit. Called on a finished one it says so. Ctrl-C and
    SIGTERM save a checkpoint first. One process at a time trains into a folder.

    Args:
        cohort: Cohort folder or its ``pairs.csv``; or rows of one, so that the others cannot even be looked at.
        networks: G, D or T of the user's own; the recipe's where None. They are not kept: whoever goes on with the
            run, or restores with a G of their own, gives them again.
        start: Folder of a model (or its run) whose weights G begins with, of the same architecture, inputs and
            intensity transform; whoever goes on with the run gives it again.

    Returns:
        The model folder; of recognisers the run folder.

    Raises:
        Problems: If the cohort cannot be trained on: everything that is wrong, at once.
        UserError: If the run folder holds something else, the machine lacks what the recipe asks for, or ``start``
            does not fit it.
        Diverged: If training went wrong.
    """
    run = Path(run)
    with locked(run, "the run") if first_process() else after_first_process():
        recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
        own = networks or CustomNetworks()
        own.check(recipe)
        if start is not None and (recipe.trains_recognisers_only or own.generator is not None):
            what = "a generator of your own" if own.generator is not None else "objective recogniser"
            raise UserError(f"{start} is a model to begin with (--from), found {what}; expected a recipe's generator")
        pairs = cohort if isinstance(cohort, Pairs) else read_training_pairs(cohort)
        if recipe.trains_recognisers_only:
            from taskgan.train.recognisers import train_recognisers

            return train_recognisers(recipe, pairs, run, overwrite=overwrite)
        return _train(_Job.of(recipe, pairs, run, own, start), overwrite=overwrite)


@dataclass(frozen=True)
class _Job:
    """What is asked for. ``further``: y of the other tasks that G learns from."""

    recipe: Recipe
    pairs: Pairs
    used: Pairs
    run: Path
    own: CustomNetworks
    start: WarmStart | None
    targets: Targets
    further: tuple[Targets, ...]

    @classmethod
    def of(cls, recipe: Recipe, pairs: Pairs, run: Path, own: CustomNetworks, start: PathLike | None) -> "_Job":
        """Look up what the recipe left to the cohort, and read the model that G begins with."""
        selected = pairs.select(recipe.data.select)
        recipe = resolved_recipe(recipe, selected)
        used = Pairs(pairs.source, tuple(p for p in selected if p.split in ("train", "val")))
        further = [task for name, task in recipe.taught_by.items() if name != "task"]
        targets, *others = (Targets.for_table(task.target, used) for task in (recipe.task, *further))
        begun = read_start(start, recipe) if start is not None else None
        return cls(recipe, pairs, used, run, own, begun, targets, tuple(others))

    @cached_property
    def fingerprint(self) -> str:
        """Of the rows that are used, with y and condition."""
        labels = [column for task in self.recipe.tasks for column in task.labels]
        return fingerprint(self.used, [*labels, *filter(None, [self.recipe.data.condition])])

    @property
    def needs_labels(self) -> bool:
        """Whether y of the first task is wanted of every row: for T, or to draw its classes equally often."""
        return "task" in self.recipe.taught_by or (self.recipe.data.balanced is True and self.targets.kind.by_class)

    @property
    def origin(self) -> dict[str, Any]:
        """For ``run.yaml``: what is not the recipe's."""
        named = {"networks": self.own.names(), "started_from": self.start.model if self.start else {}}
        return {name: value for name, value in named.items() if value}


def _train(job: _Job, *, overwrite: bool) -> Path:
    recipe, run, first = job.recipe, job.run, first_process()
    record = open_run(run, recipe, job.fingerprint, overwrite=overwrite, origin=job.origin) if first else {}
    state = None if overwrite else load_checkpoint(run)
    if state is not None and state["standing"]["finished"]:
        _finish(job, record, state["standing"], "was already finished")
        return run / "model"
    device = device_of(recipe.machine)
    with torch_switches(recipe.machine, device):
        warnings = _check(job) if first else []
        tasks = _task_networks(job, device)
        slices = TrainingSlices(
            job.used.split("train"), recipe.data, targets=job.targets, labels=job.needs_labels, further=job.further
        )
        job.own.check_shapes(recipe, slices.sample_shape)
        if recipe.data.workers:
            slices.share()
        recorded_machine = state["choice"] if state is not None else record.get("machine")  # measured once per run
        choice = (
            MachineChoice.of(recorded_machine, run) if recorded_machine else choose_machine(recipe, slices.sample_shape)
        )
        warn_of_emulated_bf16(choice.precision if first else "", device.type)
        record = new_record(recipe, job.pairs, job.used, job.fingerprint, device)
        record |= {"fold": recipe.fold, "machine": choice.to_dict(), **job.origin}
        record |= {"warnings": warnings} if warnings else {}
        if first:
            create_run(run, recipe, overwrite=overwrite)
            write_yaml(run / RECORD, record)
        session = _session(job, tasks, choice, _card(job, slices))
        if state is not None:
            session.load(state)
            say(f"going on with {run} at step {session.state.done}")
        _run(session, slices, job.used.split("val"))
    if session.fabric.global_rank == 0:
        _finish(job, record, vars(session.state), "is finished")
    return run / "model"


def _check(job: _Job) -> list[str]:
    """All that can be seen to go wrong before anything is trained; what looks odd is said and given back."""
    recipe, train = job.recipe, job.used.split("train")
    for task in recipe.taught_by.values():
        check_weights(task.pretrain, "task")
    warnings = check_cohort(
        job.pairs,
        recipe.data,
        labels=job.needs_labels,
        target=recipe.task.target,
        further=[targets.target for targets in job.further],
    )
    for text in warnings:
        say(f"warning: {job.pairs.source}: {text}")
    check_image_size(train, recipe, own=job.own.discriminator is not None)
    check_projection(recipe, train)
    return warnings


def read_training_pairs(cohort: PathLike) -> Pairs:
    """A cohort's table with what every training needs; a label is not one of it."""
    return read_pairs(cohort, [name for name in REQUIRED if name != "label"])


def check_image_size(train: Pairs, recipe: Recipe, *, own: bool = False) -> None:
    """D halves an image once a layer, and a shift must leave some of it: said before T is pretrained.

    ``own``: D is the user's, of any depth.
    """
    layers = len(recipe.discriminator.widths)
    axes = recipe.data.axes
    shapes = [read_shape(pair.degraded, axes, series=pair.series("degraded"))[0] for pair in train]
    height, width = (max(shape[axis] for shape in shapes) for axis in (0, 1))
    seen = [min(edges) for edges in zip((height, width), recipe.data.patch or (height, width), strict=False)]
    if recipe.lambda_gan > 0 and not own and min(seen) < 2**layers:
        raise UserError(
            f"the training slices of {train.source} are {seen[0]}×{seen[1]}, too small for a discriminator of "
            f"{layers} layers: expected at least {2**layers}×{2**layers}, or fewer discriminator.widths"
        )
    shifts = [("task.pretrain", task.pretrain.augment.shift) for task in recipe.taught_by.values()]
    for name, shift in [("data", recipe.data.augment.shift), *shifts]:
        if 2 * shift >= min(height, width):
            raise UserError(f"{name}.augment.shift is {shift}, expected less than half of the slices' {height}×{width}")


def _task_networks(job: _Job, device: torch.device) -> dict[str, nn.Module]:
    """T of every task that G learns from: the user's own, untaught, or pretrained."""
    networks: dict[str, nn.Module] = {}
    for name, task in job.recipe.taught_by.items():
        if name == "task" and job.own.task is not None:
            networks[name] = copy.deepcopy(job.own.task)
        elif not task.pretrain.steps:
            networks[name] = build_task(task)
        else:
            recogniser = recogniser_for(
                job.pairs, task.pretrain, job.recipe.data, name="task", device=device.type, target=task.target
            )
            if reason := recogniser.unlearnt_reason:
                say(f"warning: {reason}")
            networks[name] = recogniser.network
    return networks


def _session(job: _Job, tasks: Mapping[str, nn.Module], choice: MachineChoice, card: ModelCard) -> Session:
    recipe = job.recipe
    fabric = start_fabric(recipe.machine, choice.precision)
    with signals_held(signal.SIGINT, signal.SIGTERM):
        fabric.launch()
    networks = build_networks(recipe, tasks, fabric, choice, job.own)
    if job.start is not None:
        networks.generator.load_state_dict(dict(job.start.weights))
    ema = Ema(networks.generator, recipe.optimiser.ema)
    stages = Stages(recipe.schedule, recipe.optimiser.steps, networks.weights)
    return Session(recipe, job.run, fabric, networks, ema, Monitor(recipe), choice, card, stages)


def _run(session: Session, slices: TrainingSlices, val: Pairs) -> None:
    recipe, fabric, done = session.recipe, session.fabric, session.state.done
    steps = (UnpairedSteps if recipe.unpaired else Steps)(
        slices,
        recipe.data,
        batch_size=recipe.optimiser.batch_size,
        seed=recipe.seed,
        rank=fabric.global_rank,
        ranks=fabric.world_size,
        phases=recipe.schedule,
    )
    remaining = session.stages.steps_from(done)
    loader = load_batches(steps, remaining, workers=recipe.data.workers, pin=fabric.device.type == "cuda")
    if fabric.global_rank:
        train_loop(session, loader, None, None)
        return
    for stage in session.stages.idle:
        say(f"phase {stage.name} is passed over: {recipe.objective} has none of the networks that it trains")
    logger = MetricsLogger(session.folder, done, extra_columns(recipe))
    try:
        train_loop(session, loader, Validation(val, recipe), logger)
    finally:
        logger.close()


def _card(job: _Job, slices: TrainingSlices) -> ModelCard:
    def _value_range(values: Any) -> Range:
        return float(min(values)), float(max(values))

    recipe, used, train = job.recipe, job.used, job.used.split("train")
    x, y, z = (_value_range(axis) for axis in slices.voxel_sizes.T)
    columns, rows = zip(*slices.planes, strict=True)
    people, images = subject_digests(used), image_digests(used)
    if job.start is not None:  # its weights have learnt from them
        people, images = (*people, *job.start.card.seen.people), (*images, *job.start.card.seen.images)
    return ModelCard(
        name=f"{recipe.objective}-seed{recipe.seed}-fold{recipe.fold}",
        objective=recipe.objective,
        seed=recipe.seed,
        fold=recipe.fold,
        step=0,
        generator=recipe.generator,
        custom=job.own.names().get("generator", ""),
        data=recipe.data,
        task=recipe.task,
        judge=recipe.judge,
        seen=TrainingDomain(
            cohort=job.pairs.folder.resolve().name,
            fingerprint=job.fingerprint,
            subjects=len({pair.subject for pair in train}),
            voxel_size=(x, y, z),
            plane=((min(columns), max(columns)), (min(rows), max(rows))),
            scale=_value_range(slices.scales),
            **_image_domain(slices, train),
            people=tuple(dict.fromkeys(people)),
            images=tuple(dict.fromkeys(images)),
        ),
        started_from=job.start.model if job.start else {},
    )


def _image_domain(slices: TrainingSlices, train: Pairs) -> dict[str, Any]:
    """What the degraded images are like, and what their sidecars and the table say of them."""
    known = [one for one in slices.statistics if one is not None]
    domain: dict[str, Any] = {
        name: (min(values), max(values))
        for name in ("positive", "noise", "contrast", *["sharpness"] * any(one.sharpness for one in known))
        if (values := [getattr(one, name) for one in known])
    }
    domain["content"] = content_of(known)
    chain = Degradation.from_description(read_description(train.folder))
    domain["degradation"] = chain.steps if chain is not None else ()
    suffixes = {bids_suffix(pair.degraded) for pair in train}
    domain["suffix"] = suffixes.pop() if len(suffixes) == 1 else ""
    metadata: dict[str, set[str]] = {}
    for pair in train:
        side = {} if is_photo_name(pair.degraded) else read_sidecar(pair.degraded)
        said = {name: side.get(name) for name in METADATA_FIELDS} | {"dose": pair.columns.get("dose")}
        for name, value in said.items():
            if isinstance(value, str | int | float) and value not in ("", "n/a"):
                metadata.setdefault(name, set()).add(str(value))
    return domain | {"metadata": {name: tuple(sorted(values)) for name, values in metadata.items()}}


def _calibrate(folder: Path, val: Pairs, own: CustomNetworks) -> None:
    """Write into a finished model's card by which line it changes the SUVR, where the validation subjects tell."""
    card = read_model(folder)[1]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    restorer = Restorer.from_folder(folder, generator=own.generator, precision="32", device=device)

    def _restored(case: Case) -> Array:
        code = condition_of(case.pair, card.data)
        numbered = restorer.with_numbers(numbers_of(case.pair, card.data))
        return numbered.restore_inputs(case.inputs, case.intensity, condition=code).image

    if line := suvr_line(val, card.data, _restored):
        write_card(folder, card.model_copy(update={"calibration": asdict(line)}))


def _finish(job: _Job, record: dict[str, Any], state: dict[str, Any], how: str) -> None:
    run = job.run
    if not (run / "model").is_dir():
        raise UserError(f"{run} is finished but its model folder is missing; start anew with --overwrite")
    result = {key: state[key] for key in ("done", "best", "best_step")}
    if record.get("status") != "complete":
        _calibrate(run / "model", job.used.split("val"), job.own)
        files = [run / RECIPE, run / METRICS, *(run / "model").iterdir()]
        commit(run / RECORD, {**record, "status": "complete", "result": result}, files)
    elif wrong := differing(run / RECORD, record):
        raise UserError(f"{wrong[0]} since the run finished; start anew with --overwrite")
    metric = job.recipe.validation.metric
    value = f"PSNR {state['best']:.2f} dB" if metric == "psnr" else f"objective {-state['best']:.4g}"
    say(
        f"{run} {how} after {state['done']} steps: best validation {value} at step {state['best_step']}. "
        f"Next: taskgan restore {run / 'model'} IMAGES -o OUT"
    )
