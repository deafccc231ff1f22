"""The training loop, from top to bottom."""

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from taskgan.cohort.dataset import Batch
from taskgan.core.console import progress, say
from taskgan.core.errors import Terminated
from taskgan.model.folder import write_model
from taskgan.train.devices import derive_seed
from taskgan.train.folder import CHECKPOINT
from taskgan.train.metrics import MetricsLogger, output_metrics
from taskgan.train.networks import set_learning_rate
from taskgan.train.session import Session
from taskgan.train.step import StepResult, cycle_step, task_step, train_step
from taskgan.train.validation import Validation

_ROW_EVERY = 20  # steps: figures are read from the device, watched and written this often


def train_loop(
    session: Session, batches: Iterator[Batch], validation: Validation | None, logger: MetricsLogger | None
) -> None:
    """Make the steps that are left.

    Args:
        batches: The batches of the steps that are left, in order.
        validation: The validation subjects (first process; None in the others).
        logger: The curves (first process; None in the others).

    Raises:
        Diverged: If it went wrong.
    """
    recipe, state, rank = session.recipe, session.state, session.fabric.global_rank
    settings, stages = recipe.validation, session.stages
    state.done = stages.next_step(state.done)
    window = session.window
    losses: dict[str, Any] = {}
    title, alone = f"train {recipe.objective}", session.fabric.world_size == 1
    with _signals() as signals, progress(title, recipe.optimiser.steps, "steps", state.done) as line:
        while not state.finished:
            stage = stages.stage_at(state.done)
            torch.manual_seed(derive_seed(recipe.seed, "z", state.done, rank))
            rate = set_learning_rate(session.networks, recipe, stages, state.done)
            batch = session.to_device(next(batches))
            advance = task_step if stage.task_alone else cycle_step if recipe.unpaired else train_step
            outcome = advance(session.networks.with_learners(stage.learners), batch, recipe, session.fabric)
            if stage.trains_generator:
                session.ema.update(stages.steps_learnt("generator", state.done))
            window.append(_step_metrics(outcome, batch))

            state.done += 1
            last, border = state.done == recipe.optimiser.steps, state.done == stage.stop
            validate = last or state.done % settings.every == 0
            save = validate or state.done % settings.save_every == 0
            read = save or border or state.done % _ROW_EVERY == 0
            if read:
                means = _read_window(session, window)
                window.clear()
                losses = {k: means[k] for k in ("pixel", "cycle", "adversarial", "task") if k in means}
                row: dict[str, float | str] = {"rate": rate}
                row |= {k: v for k, v in means.items() if k != "bounds"}
                row |= {"phase": stage.name} if stage.name else {}
                if validate and not stage.trains_generator:  # no new model to look at: T reads the clean images
                    row |= validation.validate_tasks(session.networks.tasks) if validation is not None else {}
                elif validate:
                    row |= _validate(session, validation, logger)
                    spent = stage == stages.last and 0 < settings.patience <= state.stale
                    state.finished = last or spent
                if logger is not None:
                    logger.log_row(state.done, row)
            if border and not last:  # the next phase's validation is not held against this one's best
                state.stale = 0
            if save:
                session.save()
            following = stages.next_step(state.done)
            if rank == 0:
                postfix = {"phase": stage.name, **losses} if stage.name else losses
                line.advance(1 + following - state.done, **postfix)
            state.done = following
            # Processes that share the work read their figures at the same steps, and stop together at one of them.
            number = _signal_of_any(signals, session.fabric) if read or alone else 0
            if number and not state.finished:
                _save_and_stop(session, number)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM that came during the block, which is not interrupted; a second one interrupts it."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def _note(number: int, _: Any) -> None:
        if caught:
            _stop(number, "a step", None)
        caught.append(number)

    before = {number: signal.signal(number, _note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signal_of_any(caught: list[int], fabric: Any) -> int:
    """The signal that any of the processes got, the same for all of them; 0 where none did."""
    number = caught[0] if caught else 0
    if fabric.world_size == 1:
        return number
    return int(fabric.all_reduce(torch.tensor(float(number), device=fabric.device), reduce_op="max"))


def _save_and_stop(session: Session, number: int) -> NoReturn:
    """Of all processes together; the first one speaks and has the exit code."""
    session.save()
    if session.fabric.world_size > 1:
        session.fabric.barrier()  # the first one is killed where another one fails before it
    if session.fabric.global_rank:
        raise SystemExit(0)
    _stop(number, f"step {session.state.done} of {session.recipe.optimiser.steps}", session.folder / CHECKPOINT)


def _stop(number: int, where: str, saved: Path | None) -> NoReturn:
    hint = f"; {saved} is saved, the same command goes on from there" if saved is not None else ""
    if number == signal.SIGTERM:
        raise Terminated(f"ended by SIGTERM at {where}{hint}")
    if hint:
        say(f"stopped at {where}{hint}")
    raise KeyboardInterrupt


def _step_metrics(outcome: StepResult, batch: Batch) -> dict[str, Tensor]:
    """What a step is known by: its losses, and what is left of the images that it made."""
    if outcome.restored is None:
        return outcome.losses
    return {**outcome.losses, **output_metrics(outcome.restored, batch.by_slice().clean[:, :1])}


def _read_window(session: Session, window: list[dict[str, Tensor]]) -> dict[str, float]:
    """Figures of some steps, averaged over devices, watched step by step; gives their means."""
    names = list(window[0])
    figures = torch.stack([torch.stack([figure[name].float() for name in names]) for figure in window])
    if session.fabric.world_size > 1:
        figures = session.fabric.all_reduce(figures, reduce_op="mean")
    first = session.state.done - len(window) + 1
    for number, values in enumerate(figures.tolist(), start=first):
        wrong = session.monitor.observe(dict(zip(names, values, strict=True)))
        if wrong:
            raise session.diverged_error(number, wrong)
    return dict(zip(names, figures.mean(dim=0).tolist(), strict=True))


def _validate(session: Session, validation: Validation | None, logger: MetricsLogger | None) -> dict[str, float]:
    """Look at the validation subjects; a better value than ever before becomes the model.

    All processes come to the same standing, by the first one's value.
    """
    state, value, figures = session.state, -math.inf, {}
    if validation is not None:
        result = validation.validate(session.ema.network, session.networks.tasks)
        value, figures = validation.score(result), result.metrics
        for name, picture in result.images.items():
            if logger is not None:
                logger.log_image(state.done, name, picture)
    value = session.fabric.broadcast(value)
    if state.best is not None and value <= state.best:
        state.stale += 1
        return figures
    state.best, state.best_step, state.stale = value, state.done, 0
    if session.fabric.global_rank == 0:
        card = session.card.model_copy(update={"step": state.done, "measured": figures})
        write_model(session.folder / "model", session.ema.network.state_dict(), card)
    return figures
