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
from taskgan.restore.model_folder import write_model
from taskgan.train.checkpoint import NAME
from taskgan.train.cycle_step import cycle_step
from taskgan.train.journal import Journal
from taskgan.train.monitor import output_figures
from taskgan.train.players import set_rate
from taskgan.train.seeds import derive
from taskgan.train.session import Session
from taskgan.train.step import Outcome, step
from taskgan.train.task_step import task_step
from taskgan.train.validation import Validation

_ROW_EVERY = 20  # steps: figures are read from the device, watched and written this often


def train_loop(
    session: Session, batches: Iterator[Batch], validation: Validation | None, journal: Journal | None
) -> None:
    """Make the steps that are left.

    Args:
        session: The run; its standing and networks are changed.
        batches: The batches of the steps that are left, in order.
        validation: The validation subjects (first process; None in the others).
        journal: The curves (first process; None in the others).

    Raises:
        Diverged: If it went wrong.
    """
    recipe, standing, rank = session.recipe, session.standing, session.fabric.global_rank
    settings, stages = recipe.validation, session.stages
    standing.done = stages.next(standing.done)
    window = session.window
    losses: dict[str, Any] = {}
    title = f"train {recipe.objective}"
    alone = (
        session.fabric.world_size == 1
    )  # of several processes, those without the signal would wait for ever
    with _signals(alone) as signals, progress(title, recipe.optimiser.steps, "steps", standing.done) as line:
        while not standing.finished:
            stage = stages.at(standing.done)
            torch.manual_seed(derive(recipe.seed, "z", standing.done, rank))
            rate = set_rate(session.players, recipe, stages, standing.done)
            batch = session.place(next(batches))
            advance = task_step if stage.task_alone else cycle_step if recipe.unpaired else step
            outcome = advance(session.players.learning(stage.learners), batch, recipe, session.fabric)
            if stage.trains_generator:
                session.ema.update(stages.clock("generator", standing.done))
            window.append(_figures(outcome, batch))

            standing.done += 1
            last, border = standing.done == recipe.optimiser.steps, standing.done == stage.stop
            look = last or standing.done % settings.every == 0
            save = look or standing.done % settings.save_every == 0
            if save or border or standing.done % _ROW_EVERY == 0:
                means = _read(session, window)
                window.clear()
                losses = {k: means[k] for k in ("pixel", "cycle", "adversarial", "task") if k in means}
                row: dict[str, float | str] = {"rate": rate}
                row |= {k: v for k, v in means.items() if k != "bounds"}
                row |= {"phase": stage.name} if stage.name else {}
                if look and not stage.trains_generator:
                    row |= _look_at_task(session, validation)
                elif look:
                    row |= _look(session, validation, journal)
                    spent = stage == stages.last and 0 < settings.patience <= standing.stale
                    standing.finished = last or spent
                if journal is not None:
                    journal.row(standing.done, row)
            if border and not last:  # a look of the next phase is not held against this one's best
                standing.stale = 0
            if save:
                session.save()
            following = stages.next(standing.done)
            if rank == 0:
                shown = {"phase": stage.name, **losses} if stage.name else losses
                line.advance(1 + following - standing.done, **shown)
            standing.done = following
            if signals and not standing.finished:
                session.save()
                _stop(signals[0], f"step {standing.done} of {recipe.optimiser.steps}", session.folder / NAME)


@contextmanager
def _signals(catch: bool) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM that came during the block, which is not interrupted; a second one interrupts it."""
    caught: list[int] = []
    if not catch or threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def note(number: int, _: Any) -> None:
        if caught:
            _stop(number, "a step", None)
        caught.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, where: str, saved: Path | None) -> NoReturn:
    kept = f"; {saved} is saved, the same command goes on from there" if saved is not None else ""
    if number == signal.SIGTERM:
        raise Terminated(f"ended by SIGTERM at {where}{kept}")
    if kept:
        say(f"stopped at {where}{kept}")
    raise KeyboardInterrupt


def _figures(outcome: Outcome, batch: Batch) -> dict[str, Tensor]:
    """What a step is known by: its losses, and what is left of the images that it made."""
    if outcome.restored is None:
        return outcome.losses
    return {**outcome.losses, **output_figures(outcome.restored, batch.clean[:, :1])}


def _read(session: Session, window: list[dict[str, Tensor]]) -> dict[str, float]:
    """Figures of some steps, averaged over devices, watched step by step; gives their means."""
    names = list(window[0])
    figures = torch.stack([torch.stack([figure[name].float() for name in names]) for figure in window])
    if session.fabric.world_size > 1:
        figures = session.fabric.all_reduce(figures, reduce_op="mean")
    first = session.standing.done - len(window) + 1
    for number, values in enumerate(figures.tolist(), start=first):
        wrong = session.monitor.see(dict(zip(names, values, strict=True)))
        if wrong:
            raise session.diverged(number, wrong)
    return dict(zip(names, figures.mean(dim=0).tolist(), strict=True))


def _look_at_task(session: Session, validation: Validation | None) -> dict[str, float]:
    """Where G does not learn there is no new model to look at; T is asked about the clean images."""
    task = session.players.task
    return validation.look_at_task(task) if validation is not None and task is not None else {}


def _look(session: Session, validation: Validation | None, journal: Journal | None) -> dict[str, float]:
    """Look at the validation subjects; a better value than ever before becomes the model.

    All processes come to the same standing, by the first one's value.
    """
    standing, value, figures = session.standing, -math.inf, {}
    if validation is not None:
        look = validation.look(session.ema.network, session.players.task)
        value, figures = validation.value(look), look.figures
        for name, picture in look.pictures.items():
            if journal is not None:
                journal.image(standing.done, name, picture)
    value = session.fabric.broadcast(value)
    if standing.best is not None and value <= standing.best:
        standing.stale += 1
        return figures
    standing.best, standing.best_step, standing.stale = value, standing.done, 0
    if session.fabric.global_rank == 0:
        card = session.card.model_copy(update={"step": standing.done, "measured": figures})
        write_model(session.folder / "model", session.ema.network.state_dict(), card)
    return figures
