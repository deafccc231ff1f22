"""``taskgan sweep``: train every setting, restore and judge validation subjects, choose by a stated rule."""

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from taskgan.cohort.description import fingerprint
from taskgan.cohort.pairs import Pairs
from taskgan.cohort.targets import resolved_recipe
from taskgan.core.console import duration, say
from taskgan.core.errors import Diverged, Failed, UserError
from taskgan.core.files import LOCK, PathLike, read_yaml, versions, write_yaml
from taskgan.core.lock import locked
from taskgan.evaluate.run import evaluate
from taskgan.judges.readers import Reader, default_readers, no_readers
from taskgan.memory import give_back, out_of_memory
from taskgan.recipe import Recipe, read_recipe
from taskgan.restore.files import restore
from taskgan.sweep.choose import Choice, Rule, choose, parse_rule
from taskgan.sweep.effective import mark
from taskgan.sweep.folder import (
    FIGURE,
    SWEEP,
    TABLE,
    Outcome,
    forget_outcome,
    open_sweep,
    outcome_of,
    runs,
    write_outcome,
)
from taskgan.sweep.grid import parse_grid, parse_seeds, parse_share
from taskgan.sweep.names import label, text
from taskgan.sweep.people import write_mistaken
from taskgan.sweep.plan import Plan, Trial, left, plan, share
from taskgan.sweep.results import Result, collect
from taskgan.sweep.table import legend, printed, summary, write_table
from taskgan.train.folder import RECIPE, RECORD, begin_run, differences
from taskgan.train.run import check_size, read_training_pairs, train


@dataclass(frozen=True)
class Asked:
    """A sweep as it was asked for, in the user's words.

    Attributes:
        recipe: A YAML file or a shipped recipe.
        cohort: Cohort folder or table.
        out: Sweep folder.
        grid: ``key=value,value`` each.
        overrides: ``key=value`` each; changes of the recipe that all settings share.
        seeds: ``0,1,2``; None is the recipe's own.
        against: ``key=value`` each: together the reference setting, trained and judged too, but no choice.
        random: Only so many combinations, drawn at random; 0 takes all.
        seed: Of that draw.
        choose: Rule of choice: one of :data:`~taskgan.sweep.choose.RULES`.
        within: dB below the best PSNR that the rule ``balanced`` allows.
        only: ``K/N``: make every N-th run from the K-th on, and leave the table to a last call.
        recognisers: Where T and the judge are kept; None is in the cohort.
        retry: Make runs that failed once more.
    """

    recipe: str
    cohort: Path
    out: Path
    grid: Sequence[str]
    overrides: Sequence[str] = ()
    seeds: str | None = None
    against: Sequence[str] = ()
    random: int = 0
    seed: int = 0
    choose: str = "balanced"
    within: float = 0.3
    only: str | None = None
    recognisers: Path | None = None
    retry: bool = False


@dataclass(frozen=True)
class Swept:
    """What a sweep left.

    Attributes:
        folder: The sweep folder.
        failed: How many runs failed: of this call's share, or of all in the folder where they were joined.
    """

    folder: Path
    failed: int


def sweep(
    recipe: PathLike,
    cohort: PathLike,
    out: PathLike,
    grid: Sequence[str] = (),
    *,
    overrides: Sequence[str] = (),
    seeds: str | None = None,
    against: Sequence[str] = (),
    random: int = 0,
    seed: int = 0,
    choose: str = "balanced",
    within: float = 0.3,
    only: str | None = None,
    recognisers: PathLike | None = None,
    retry: bool = False,
) -> Swept:
    """Train a grid of settings, judge them on validation subjects and choose one, as ``taskgan sweep`` does.

    The arguments are those of :class:`Asked`; what happens and what is refused is told at :func:`run_sweep`.
    """
    settings = Asked(
        os.fspath(recipe),
        Path(cohort),
        Path(out),
        tuple(grid),
        overrides=tuple(overrides),
        seeds=seeds,
        against=tuple(against),
        random=random,
        seed=seed,
        choose=choose,
        within=within,
        only=only,
        recognisers=Path(recognisers) if recognisers is not None else None,
        retry=retry,
    )
    return run_sweep(settings)


def run_sweep(asked: Asked) -> Swept:
    """Make the runs of a grid that are not there yet, and choose among all that are.

    Test rows are taken out of the table before anything is done with it. Called again it goes on where it was;
    with another grid the new settings join those that are there. A run that diverges or runs out of memory is
    marked as failed, and the others go on.

    Raises:
        UserError: If the grid, the cohort or the folder does not allow it; nothing is trained then.
        Problems: Every key and value that is wrong.
        Failed: If every setting failed, each with one seed at least, so that none can be chosen.
    """
    axes = parse_grid(asked.grid)
    only = parse_share(asked.only)
    base = read_recipe(asked.recipe, asked.overrides)
    rule = parse_rule(asked.choose)
    if base.machine.devices * base.machine.nodes > 1:
        raise UserError(
            "a sweep trains each setting on one device; expected machine.devices and machine.nodes 1 "
            "(several devices: one call with --only K/N on each)"
        )
    todo = plan(
        base,
        axes,
        parse_seeds(asked.seeds, base.seed),
        draw=asked.random,
        draw_seed=asked.seed,
        against=_settings(asked.against),
    )
    rows = _without_test(read_training_pairs(asked.cohort))
    used = _check_cohort(rows, base, todo, rule)
    settle = partial(resolved_recipe, pairs=used)
    todo = todo.settled(settle)
    subjects = {name: len({p.subject for p in used.split(name)}) for name in ("train", "val")}
    cohort = {
        "name": rows.folder.resolve().name,
        "fingerprint": fingerprint(used, base.task.labels),
        "subjects": subjects,
    }
    # Several processes may work on shares of one sweep: each share has a lock, and each run in it has its own.
    name = LOCK if only is None else f".share-{only[0]}-of-{only[1]}.lock"
    with locked(asked.out, "the sweep", name=name):
        record = open_sweep(asked.out, base, asked.recipe, cohort)
        _tell(todo, subjects, asked.out)
        done = _make(share(todo.trials, only), rows, base, asked)
        if only is None:
            return _join(asked, settle(base), todo, [axis.key for axis in axes], record)
    say(f"{asked.out}: share {asked.only} is done. When all are, the same command without --only joins them")
    return Swept(asked.out, _tell_failed(done, asked.out))


def _settings(texts: Sequence[str]) -> dict[str, Any]:
    """``--against`` as values by key."""
    found: dict[str, Any] = {}
    for axis in parse_grid(texts) if texts else ():
        if len(axis.values) > 1:
            raise UserError(f"--against {axis.key} has {len(axis.values)} values, expected one")
        found[axis.key] = axis.values[0]
    return found


def _without_test(pairs: Pairs) -> Pairs:
    """Training and validation rows; a subject among them that is a test subject too would make the sweep a test."""
    kept = tuple(pair for pair in pairs if pair.split in ("train", "val"))
    both = {pair.subject for pair in pairs.split("test")} & {pair.subject for pair in kept}
    if both:
        raise UserError(
            f"{pairs.source} has subjects both in test and in train or val ({', '.join(sorted(both)[:3])}): "
            "settings must not be chosen on test subjects"
        )
    return Pairs(pairs.source, kept)


def _check_cohort(rows: Pairs, base: Recipe, todo: Plan, rule: Rule) -> Pairs:
    """What can be seen to go wrong, before anything is trained. Gives the rows that will be used."""
    selected = rows.select({k: str(v) for k, v in base.data.select.items()}) if base.data.select else rows
    for name in ("train", "val"):
        if not len(selected.split(name)):
            raise UserError(f"{rows.source} has no selected row with split {name!r}, which a sweep needs")
    reason = no_readers(selected, base.task.target) if rule in ("balanced", "judge") else ""
    if reason:
        raise UserError(f"the rule {rule!r} needs a judge, but {reason}; say --choose psnr")
    val = selected.split("val")
    if rule == "suvr" and not any(pair.path("cortex") and pair.path("reference") for pair in val):
        raise UserError(
            f"{rows.source} names no cortex and reference masks, which the rule 'suvr' needs; say --choose psnr"
        )
    for trial in todo.trials:
        check_size(selected.split("train"), trial.recipe)
    return selected


def _tell(todo: Plan, subjects: Mapping[str, int], out: Path) -> None:
    for twice, first in todo.merged[:5]:
        say(f"note: {twice} is the same run as {first}: trained once")
    if len(todo.merged) > 5:
        say(f"note: and {len(todo.merged) - 5} more settings are the same run as another: trained once")
    say(
        f"sweep: {len(todo.trials)} runs into {out}, judged on {subjects['val']} validation subjects; "
        "test images are not opened"
    )


def _make(trials: Sequence[Trial], rows: Pairs, base: Recipe, asked: Asked) -> list[Outcome]:
    """Make the runs that are not there; gives how each of all ended."""
    known = runs(asked.out)
    waiting, ends = [], []
    for trial in trials:
        folder, recipe = known.get(mark(trial.recipe), (asked.out / "runs" / trial.name, trial.recipe))
        # A run that an earlier call began under another name goes on by its own recipe.
        recipe = recipe if differences(recipe, trial.recipe) else trial.recipe
        outcome = outcome_of(folder)
        if outcome.status == "unfinished" or (asked.retry and outcome.failed):
            waiting.append((trial, folder, recipe))
        else:
            ends.append(outcome)
    there, failed = len(ends), sum(end.failed for end in ends)
    if there:
        and_failed = f", {failed} of them failed (--retry makes them once more)" if failed else ""
        say(f"{there} of {len(trials)} runs are there{and_failed}")
    if not waiting:
        return ends
    readers = {} if no_readers(rows, base.task.target) else default_readers(rows, base, asked.recognisers)
    spent: list[float] = []
    for number, (trial, folder, recipe) in enumerate(waiting, start=there + 1):
        time_left = left(spent, len(waiting) - len(spent))
        rest = f", about {duration(time_left)} left" if spent else ""
        say(f"\n[{number}/{len(trials)}] {label(trial.values)}, seed {recipe.seed}{rest}")
        began = time.monotonic()
        ends.append(_one(folder, recipe, rows, base, readers))
        spent.append(time.monotonic() - began)
    return ends


def _one(folder: Path, recipe: Recipe, rows: Pairs, base: Recipe, readers: Mapping[str, Reader]) -> Outcome:
    """One run to its end, which may be that it failed."""
    fresh, began = not (folder / RECORD).is_file(), time.monotonic()
    # What diverged would do so again from its last checkpoint; what lacked memory may go on from there.
    anew = outcome_of(folder).status == "diverged"
    forget_outcome(folder)
    try:
        seconds = _train_and_judge(folder, recipe, rows, base, readers, anew=anew)
        outcome = Outcome("finished", seconds if fresh or anew else None)
    except (Diverged, MemoryError, RuntimeError) as error:
        full = out_of_memory(error)
        if full is None and not isinstance(error, Diverged):
            raise
        spent = time.monotonic() - began if fresh or anew else None
        outcome = Outcome("diverged" if full is None else "out of memory", spent, full or str(error))
    if outcome.failed:
        give_back()
        if not (folder / RECIPE).is_file():  # it failed before its first step
            begin_run(folder, recipe, overwrite=False)
        say(f"failed: {outcome.message}. The sweep goes on")
    write_outcome(folder, outcome)
    return outcome


def _train_and_judge(
    folder: Path, recipe: Recipe, rows: Pairs, base: Recipe, readers: Mapping[str, Reader], *, anew: bool
) -> float:
    """Train, restore the validation subjects, judge. Gives the seconds of training."""
    began = time.monotonic()
    train(recipe, rows, folder, overwrite=anew)
    seconds = time.monotonic() - began
    restored, evaluation = folder / "restored", folder / "evaluation"
    if anew or not _complete(restored / "restored.yaml"):
        restore(folder / "model", [rows.source], restored, split="val", precision="32", overwrite=anew)
    # The base recipe's T and judge read all settings alike, whatever a setting did to its own T.
    evaluate(restored, rows.source, evaluation, recipe=base, readers=readers, split="val", overwrite=True)
    if "judge" in readers:
        write_mistaken(restored, rows, base, readers["judge"], evaluation)
    return seconds


def _complete(path: Path) -> bool:
    return path.is_file() and read_yaml(path).get("status") == "complete"


def _join(asked: Asked, base: Recipe, todo: Plan, keys: Sequence[str], record: Mapping[str, Any]) -> Swept:
    """Table, choice, figure and record of all runs in the folder."""
    results = collect(asked.out, base, todo, keys)
    write_table(asked.out / TABLE, results)
    able = [result for result in results if result.candidate]
    if able and all(result.failures for result in able):
        raise Failed(
            f"every setting of {asked.out} failed, so none can be chosen; {TABLE} says how each did, --retry makes "
            "them once more"
        )
    choice = choose([result.as_candidate() for result in results], parse_rule(asked.choose), asked.within)
    chosen = next(result for result in results if result.label == choice.chosen)
    command = train_command(asked, base, chosen)
    _figure(asked, results, choice)
    write_yaml(
        asked.out / SWEEP,
        {
            **{key: record[key] for key in ("recipe", "base", "cohort") if key in record},
            "status": "complete",
            "grid": {a.key: list(a.values) for a in parse_grid(asked.grid)},
            "seeds": list(parse_seeds(asked.seeds, base.seed)),
            "random": {"draws": asked.random, "seed": asked.seed} if asked.random else None,
            "against": dict(todo.against),
            "rule": choice.rule,
            "chosen": {"setting": chosen.label, "values": chosen.values, "command": command},
            "ties": sorted(choice.ties & choice.eligible),
            "settings": summary(results, choice),
            "versions": versions(),
        },
    )
    _report(asked.out, results, choice, command)
    ends = [run.outcome for result in results for run in result.runs]
    return Swept(asked.out, _tell_failed(ends, asked.out))


def _figure(asked: Asked, results: Sequence[Result], choice: Choice) -> None:
    from taskgan.sweep.figure import draw

    draw(results, choice, asked.out / FIGURE, asked.within if asked.choose == "balanced" else None)


def _report(out: Path, results: Sequence[Result], choice: Choice, command: str) -> None:
    say("")
    for line in printed(results, choice):
        say(line)
    say(f"{legend(results, choice)}. Intervals: 95 %, by validation subject")
    say(f"{out}: table in {TABLE}, figure in {FIGURE}; rule: {choice.rule}")
    say(f"chosen: {choice.chosen}. Next: {command}")


def _tell_failed(ends: Sequence[Outcome], out: Path) -> int:
    failed = sum(end.failed for end in ends)
    if failed:
        say(
            f"{failed} of {len(ends)} runs of {out} failed; settings with a failed run cannot be chosen. The same "
            "command with --retry makes them once more"
        )
    return failed


def train_command(asked: Asked, base: Recipe, chosen: Result) -> str:
    """The command that trains the chosen setting: the user's own overrides, then its values."""
    words = ["taskgan", "train", asked.recipe, str(asked.cohort), "RUN"]
    for override in asked.overrides:
        words += ["--set", override]
    for key, value in chosen.values.items():
        words += ["--set", f"{key}={text(value)}"]
    seed = chosen.runs[0].recipe.seed
    if seed != base.seed:
        words += ["--set", f"seed={seed}"]
    return shlex.join(words)
