"""``taskgan train``: from a recipe and a cohort to a run folder with a model in it."""

import copy
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from taskgan.cohort.check import check_cohort
from taskgan.cohort.dataset import Steps, TrainingSlices, load_batches
from taskgan.cohort.folder import fingerprint
from taskgan.cohort.pairs import REQUIRED, Pairs, read_pairs
from taskgan.cohort.projection import check_projection
from taskgan.cohort.splits import image_digests, subject_digests
from taskgan.cohort.targets import Targets, resolved_recipe
from taskgan.cohort.unpaired import UnpairedSteps
from taskgan.core.artefact import commit, differing
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, versions, write_yaml
from taskgan.core.lock import locked
from taskgan.images.photos import is_photo_name
from taskgan.images.volumes import bids_suffix, read_shape, read_sidecar
from taskgan.judges.store import check_weights, recogniser_for
from taskgan.model.folder import METADATA_FIELDS, ModelCard, Range, TrainingDomain
from taskgan.recipe import Recipe, read_recipe
from taskgan.train.devices import MachineChoice, device_name, device_of, start_fabric, torch_switches
from taskgan.train.folder import (
    METRICS,
    RECIPE,
    RECORD,
    command_line,
    create_run,
    first_process,
    load_checkpoint,
    open_run,
)
from taskgan.train.loop import train_loop
from taskgan.train.machine import choose_machine
from taskgan.train.metrics import MetricsLogger, Monitor
from taskgan.train.networks import CustomNetworks, build_networks, build_task, uses_task
from taskgan.train.session import Ema, Session
from taskgan.train.stages import Stages
from taskgan.train.validation import TASK_CLEAN, Validation, psnr_column


def train(
    recipe: Recipe | PathLike,
    cohort: Pairs | PathLike,
    run: PathLike,
    *,
    networks: CustomNetworks | None = None,
    overwrite: bool = False,
) -> Path:
    """Train a restorer, or go on with one; of objective ``recogniser`` the readers alone.

    Called again on an unfinished run with the same recipe it goes on from the last checkpoint; on the CPU the
    result then equals that of an uninterrupted run to the bit. Called on a finished one it says so. Ctrl-C and
    SIGTERM save a checkpoint first. One process at a time trains into a folder.

    Args:
        recipe: Every setting: a recipe, its file or its name.
        cohort: Cohort folder or its ``pairs.csv``; or rows of one, so that the others cannot even be looked at.
        run: Run folder.
        networks: G, D or T of the user's own; the recipe's where None. They are not kept: whoever goes on with the
            run, or restores with a G of their own, gives them again.
        overwrite: Start anew where there is a run already.

    Returns:
        The model folder; of recognisers the run folder.

    Raises:
        Problems: If the cohort cannot be trained on: everything that is wrong, at once.
        UserError: If the run folder holds something else, or the machine lacks what the recipe asks for.
        Diverged: If training went wrong.
    """
    run = Path(run)
    with locked(run, "the run") if first_process() else nullcontext():
        return _train(recipe, cohort, run, networks or CustomNetworks(), overwrite=overwrite)


def _train(
    recipe: Recipe | PathLike, cohort: PathLike | Pairs, run: Path, own: CustomNetworks, *, overwrite: bool
) -> Path:
    first = first_process()
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    own.check(recipe)
    pairs = cohort if isinstance(cohort, Pairs) else read_training_pairs(cohort)
    if recipe.trains_recognisers_only:
        from taskgan.train.recognisers import train_recognisers

        return train_recognisers(recipe, pairs, run, overwrite=overwrite)
    selected = pairs.select(recipe.data.select)
    recipe = resolved_recipe(recipe, selected)
    used = Pairs(pairs.source, tuple(p for p in selected if p.split in ("train", "val")))
    targets = Targets.for_table(recipe.task.target, used)
    condition_columns = (recipe.data.condition,) if recipe.data.condition else ()
    cohort_fingerprint = fingerprint(used, (*recipe.task.labels, *condition_columns))
    record = open_run(run, recipe, cohort_fingerprint, overwrite=overwrite, networks=own.names()) if first else {}
    state = None if overwrite else load_checkpoint(run)
    if state is not None and state["standing"]["finished"]:
        _finish(run, recipe, record, state["standing"], "was already finished")
        return run / "model"
    device = device_of(recipe.machine)
    warnings: list[str] = []
    with torch_switches(recipe.machine, device):
        if first:
            if uses_task(recipe):
                check_weights(recipe.task.pretrain, "task")
            labels = needs_labels(recipe, targets)
            warnings = check_cohort(pairs, recipe.data, labels=labels, target=recipe.task.target)
            for text in warnings:
                say(f"warning: {pairs.source}: {text}")
            check_image_size(used.split("train"), recipe, own=own.discriminator is not None)
            check_projection(recipe, used.split("train"))
        task = copy.deepcopy(own.task) or _task_network(pairs, recipe, device)
        slices = TrainingSlices(
            used.split("train"), recipe.data, targets=targets, labels=needs_labels(recipe, targets)
        )
        own.check_shapes(recipe, slices.sample_shape)
        if recipe.data.workers:
            slices.share()
        recorded_machine = state["choice"] if state is not None else record.get("machine")  # measured once per run
        choice = (
            MachineChoice.of(recorded_machine, run)
            if recorded_machine
            else choose_machine(recipe, slices.sample_shape)
        )
        record = _record(pairs, used, recipe, choice, device, cohort_fingerprint)
        record |= {"networks": own.names()} if own.names() else {}
        record |= {"warnings": warnings} if warnings else {}
        if first:
            create_run(run, recipe, overwrite=overwrite)
            write_yaml(run / RECORD, record)
        card = _card(recipe, slices, record, used).model_copy(update={"custom": own.names().get("generator", "")})
        session = _session(recipe, run, task, choice, card, own)
        if state is not None:
            session.load(state)
            say(f"going on with {run} at step {session.state.done}")
        _run(session, slices, used.split("val"))
    if session.fabric.global_rank == 0:
        _finish(run, recipe, record, vars(session.state), "is finished")
    return run / "model"


def read_training_pairs(cohort: PathLike) -> Pairs:
    """A cohort's table with what every training needs; a label is not one of it."""
    return read_pairs(cohort, [name for name in REQUIRED if name != "label"])


def needs_labels(recipe: Recipe, targets: Targets) -> bool:
    """Whether this run wants y of every row: for T, or to draw its classes equally often."""
    return uses_task(recipe) or (recipe.data.balanced is True and targets.kind.by_class)


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
    shifts = {"data": recipe.data.augment.shift}
    if uses_task(recipe):
        shifts["task.pretrain"] = recipe.task.pretrain.augment.shift
    for name, shift in shifts.items():
        if 2 * shift >= min(height, width):
            raise UserError(
                f"{name}.augment.shift is {shift}, expected less than half of the slices' {height}×{width}"
            )


def _task_network(pairs: Pairs, recipe: Recipe, device: torch.device) -> nn.Module | None:
    if not uses_task(recipe):
        return None
    if not recipe.task.pretrain.steps:
        return build_task(recipe)
    recogniser = recogniser_for(
        pairs, recipe.task.pretrain, recipe.data, name="task", device=device.type, target=recipe.task.target
    )
    if reason := recogniser.unlearnt_reason:
        say(f"warning: {reason}")
    network: nn.Module = recogniser.network
    return network


def _session(
    recipe: Recipe, run: Path, task: nn.Module | None, choice: MachineChoice, card: ModelCard, own: CustomNetworks
) -> Session:
    fabric = start_fabric(recipe.machine, choice.precision)
    fabric.launch()
    networks = build_networks(recipe, task, fabric, choice, own)
    ema = Ema(networks.generator, recipe.optimiser.ema)
    stages = Stages(recipe.schedule, recipe.optimiser.steps, networks.weights)
    return Session(recipe, run, fabric, networks, ema, Monitor(recipe), choice, card, stages)


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
    extra_columns = [*["phase", TASK_CLEAN] * bool(recipe.schedule), *map(psnr_column, recipe.data.conditions)]
    logger = MetricsLogger(session.folder, done, extra_columns)
    try:
        train_loop(session, loader, Validation(val, recipe), logger)
    finally:
        logger.close()


def _card(recipe: Recipe, slices: TrainingSlices, record: dict[str, Any], used: Pairs) -> ModelCard:
    def _value_range(values: Any) -> Range:
        return float(min(values)), float(max(values))

    x, y, z = (_value_range(axis) for axis in slices.voxel_sizes.T)
    columns, rows = zip(*slices.planes, strict=True)
    return ModelCard(
        name=f"{recipe.objective}-seed{recipe.seed}-fold{recipe.fold}",
        objective=recipe.objective,
        seed=recipe.seed,
        fold=recipe.fold,
        step=0,
        generator=recipe.generator,
        data=recipe.data,
        task=recipe.task,
        judge=recipe.judge,
        seen=TrainingDomain(
            cohort=record["cohort"]["name"],
            fingerprint=record["cohort"]["fingerprint"],
            subjects=record["cohort"]["subjects"]["train"],
            voxel_size=(x, y, z),
            plane=((min(columns), max(columns)), (min(rows), max(rows))),
            scale=_value_range(slices.scales),
            **_image_domain(slices, used.split("train")),
            people=subject_digests(used),
            images=image_digests(used),
        ),
    )


def _image_domain(slices: TrainingSlices, train: Pairs) -> dict[str, Any]:
    """What the degraded images are like, and what their sidecars and the table say of them."""
    known = [one for one in slices.statistics if one is not None]
    domain: dict[str, Any] = {
        name: (min(values), max(values))
        for name in ("positive", "noise", "contrast")
        if (values := [getattr(one, name) for one in known])
    }
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


def _record(
    pairs: Pairs, used: Pairs, recipe: Recipe, choice: MachineChoice, device: torch.device, mark: str
) -> dict[str, Any]:
    subjects = {split: len({p.subject for p in used.split(split)}) for split in ("train", "val")}
    return {
        "status": "training",
        "objective": recipe.objective,
        "seed": recipe.seed,
        "fold": recipe.fold,
        "cohort": {"name": pairs.folder.resolve().name, "fingerprint": mark, "subjects": subjects},
        "machine": choice.to_dict(),
        "device": device_name(device),
        "command": command_line(),
        "versions": versions(),
    }


def _finish(run: Path, recipe: Recipe, record: dict[str, Any], state: dict[str, Any], how: str) -> None:
    if not (run / "model").is_dir():
        raise UserError(f"{run} is finished but its model folder is missing; start anew with --overwrite")
    result = {key: state[key] for key in ("done", "best", "best_step")}
    if record.get("status") != "complete":
        files = [run / RECIPE, run / METRICS, *(run / "model").iterdir()]
        commit(run / RECORD, {**record, "status": "complete", "result": result}, files)
    elif wrong := differing(run / RECORD, record):
        raise UserError(f"{wrong[0]} since the run finished; start anew with --overwrite")
    metric = recipe.validation.metric
    value = f"PSNR {state['best']:.2f} dB" if metric == "psnr" else f"objective {-state['best']:.4g}"
    say(
        f"{run} {how} after {state['done']} steps: best validation {value} at step {state['best_step']}. "
        f"Next: taskgan restore {run / 'model'} IMAGES -o OUT"
    )
