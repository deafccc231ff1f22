"""The training loop, from top to bottom."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from taskgan.cohort.dataset import Batch
from taskgan.console import progress
from taskgan.restore.model_folder import write_model
from taskgan.train.cycle_step import cycle_step
from taskgan.train.journal import Journal
from taskgan.train.monitor import output_figures
from taskgan.train.players import set_rate
from taskgan.train.seeds import derive
from taskgan.train.session import Session
from taskgan.train.step import step
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
    settings = recipe.validation
    advance = cycle_step if recipe.unpaired else step
    window: list[dict[str, Tensor]] = []
    losses: dict[str, Any] = {}
    title = f"train {recipe.objective}"
    with progress(title, recipe.optimiser.steps, "steps", standing.done) as line:
        while not standing.finished:
            torch.manual_seed(derive(recipe.seed, "z", standing.done, rank))
            rate = set_rate(session.players, recipe, standing.done)
            batch = session.place(next(batches))
            outcome = advance(session.players, batch, recipe, session.fabric)
            session.ema.update(standing.done)
            window.append({**outcome.losses, **output_figures(outcome.restored, batch.clean[:, :1])})

            standing.done += 1
            last = standing.done == recipe.optimiser.steps
            look = last or standing.done % settings.every == 0
            save = look or standing.done % settings.save_every == 0
            if save or standing.done % _ROW_EVERY == 0:
                means = _read(session, window)
                window.clear()
                losses = {k: means[k] for k in ("pixel", "cycle", "adversarial", "task") if k in means}
                row = {"rate": rate, **{k: v for k, v in means.items() if k != "bounds"}}
                if look:
                    row |= _look(session, validation, journal)
                    standing.finished = last or 0 < settings.patience <= standing.stale
                if journal is not None:
                    journal.row(standing.done, row)
            if save:
                session.save()
            if rank == 0:
                line.advance(1, **losses)


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
