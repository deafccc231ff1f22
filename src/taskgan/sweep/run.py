"""``taskgan sweep``: train every setting, restore and judge validation subjects, choose by a stated rule."""

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from taskgan.cohort.folder import fingerprint
from taskgan.cohort.pairs import Pairs
from taskgan.cohort.targets import resolved_recipe
from taskgan.core.console import duration, say
from taskgan.core.errors import Diverged, Failed, UserError, free_memory, out_of_memory
from taskgan.core.files import PathLike, read_yaml, versions, write_yaml
from taskgan.core.lock import locked, locked_part
from taskgan.core.parts import parse_part
from taskgan.evaluate.run import evaluate
from taskgan.judges.limits import find_limit
from taskgan.judges.readers import Reader, default_readers, no_readers_reason
from taskgan.recipe import Recipe, read_recipe
from taskgan.restore.run import restore
from taskgan.sweep.choose import Rule, SettingChoice, choose_setting, parse_rule, write_mistaken_shares
from taskgan.sweep.folder import (
    FIGURE,
    SWEEP,
    TABLE,
    RunStatus,
    clear_status,
    find_runs,
    open_sweep,
    read_status,
    run_digest,
    write_status,
)
from taskgan.sweep.plan import SweepPlan, Trial, parse_grid, parse_seeds, plan_sweep, setting_label, yaml_text
from taskgan.sweep.results import SettingResult, collect_results, legend, printed_table, settings_summary, write_table
from taskgan.train.folder import RECIPE, RECORD, create_run, setting_differences
from taskgan.train.run import check_image_size, read_training_pairs, train


@dataclass(frozen=True)
class SweepOptions:
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
        part: ``K/N``: make every N-th run from the K-th on, and leave the table to a last call.
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
    part: str | None = None
    recognisers: PathLike | None = None
    retry: bool = False


@dataclass(frozen=True)
class SweepResult:
    """What a sweep left.

    Attributes:
        folder: The sweep folder.
        failed: How many runs failed: of this call's part, or of all in the folder where they were joined.
    """

    folder: Path
    failed: int


def sweep(recipe: PathLike, cohort: PathLike, out: PathLike, grid: Sequence[str] = (), **options: Any) -> SweepResult:
    """Train a grid of settings, judge them on validation subjects and choose one, as ``taskgan sweep`` does.

    The arguments, named ones too, are those of :class:`SweepOptions`; what happens and what is refused is told at
    :func:`run_sweep`.
    """
    if "only" in options:  # as it was called before
        options["part"] = options.pop("only")
    return run_sweep(SweepOptions(os.fspath(recipe), Path(cohort), Path(out), tuple(grid), **options))


def run_sweep(options: SweepOptions) -> SweepResult:
    """Make the runs of a grid that are not there yet, and choose among all that are.

    Test rows are taken out of the table before anything is done with it. Called again it goes on where it was;
    with another grid the new settings join those that are there. A run that diverges or runs out of memory is
    marked as failed, and the others go on.

    Raises:
        UserError: If the grid, the cohort or the folder does not allow it; nothing is trained then.
        Problems: Every key and value that is wrong.
        Failed: If every setting failed, each with one seed at least, so that none can be chosen.
    """
    axes = parse_grid(options.grid)
    part = parse_part(options.part)
    base = read_recipe(options.recipe, options.overrides)
    rule = parse_rule(options.choose)
    if base.machine.devices * base.machine.nodes > 1:
        raise UserError(
            "a sweep trains each setting on one device; expected machine.devices and machine.nodes 1 "
            "(several devices: one call with --part K/N on each)"
        )
    todo = plan_sweep(
        base,
        axes,
        parse_seeds(options.seeds, base.seed),
        draw=options.random,
        draw_seed=options.seed,
        against=_reference_values(options.against),
    )
    rows = _without_test(read_training_pairs(options.cohort))
    used = _check_cohort(rows, base, todo, rule)
    settle = partial(resolved_recipe, pairs=used)
    todo = todo.resolved(settle)
    subjects = {name: len({p.subject for p in used.split(name)}) for name in ("train", "val")}
    known = {"name": rows.folder.resolve().name, "fingerprint": fingerprint(used, base.task.labels)}
    with locked_part(options.out, "the sweep", part.name) if part else locked(options.out, "the sweep"):
        record = open_sweep(options.out, base, options.recipe, {**known, "subjects": subjects})
        _print_plan(todo, subjects, options.out)
        if bound := find_limit(None, [rows.folder], base.model_dump(mode="json")):
            say(f"limit ({bound.folder}): {bound.sentence}")
        done = _make_runs(part.of(todo.trials) if part else todo.trials, rows, base, options)
        if part is None:
            return _join(options, settle(base), todo, [axis.key for axis in axes], record)
    say(f"{options.out}: part {part} is done. When all are, the same command without --part joins them")
    return SweepResult(options.out, _print_failed(done, options.out))


def _reference_values(texts: Sequence[str]) -> dict[str, Any]:
    """``--against`` as values by key."""
    values: dict[str, Any] = {}
    for axis in parse_grid(texts) if texts else ():
        if len(axis.values) > 1:
            raise UserError(f"--against {axis.key} has {len(axis.values)} values, expected one")
        values[axis.key] = axis.values[0]
    return values


def _without_test(pairs: Pairs) -> Pairs:
    """Training and validation rows; a subject among them that is a test subject too would make the sweep a test."""
    selected = tuple(pair for pair in pairs if pair.split in ("train", "val"))
    both = {pair.subject for pair in pairs.split("test")} & {pair.subject for pair in selected}
    if both:
        raise UserError(
            f"{pairs.source} has subjects both in test and in train or val ({', '.join(sorted(both)[:3])}): "
            "settings must not be chosen on test subjects"
        )
    return Pairs(pairs.source, selected)


def _check_cohort(rows: Pairs, base: Recipe, todo: SweepPlan, rule: Rule) -> Pairs:
    """What can be seen to go wrong, before anything is trained. Gives the rows that will be used."""
    selected = rows.select(base.data.select)
    for name in ("train", "val"):
        if not len(selected.split(name)):
            raise UserError(f"{rows.source} has no selected row with split {name!r}, which a sweep needs")
    reason = no_readers_reason(selected, base.task.target) if rule in ("balanced", "judge") else ""
    if reason:
        raise UserError(f"the rule {rule!r} needs a judge, but {reason}; say --choose psnr")
    val = selected.split("val")
    if rule == "suvr" and not any(pair.path("cortex") and pair.path("reference") for pair in val):
        raise UserError(
            f"{rows.source} names no cortex and reference masks, which the rule 'suvr' needs; say --choose psnr"
        )
    for trial in todo.trials:
        check_image_size(selected.split("train"), trial.recipe)
    return selected


def _print_plan(todo: SweepPlan, subjects: Mapping[str, int], out: Path) -> None:
    for twice, first in todo.merged[:5]:
        say(f"note: {twice} is the same run as {first}: trained once")
    if len(todo.merged) > 5:
        say(f"note: and {len(todo.merged) - 5} more settings are the same run as another: trained once")
    say(
        f"sweep: {len(todo.trials)} runs into {out}, judged on {subjects['val']} validation subjects; "
        "test images are not opened"
    )


def _make_runs(trials: Sequence[Trial], rows: Pairs, base: Recipe, options: SweepOptions) -> list[RunStatus]:
    """Make the runs that are not there; gives how each of all ended."""
    known = find_runs(options.out)
    waiting, ends = [], []
    for trial in trials:
        folder, recipe = known.get(run_digest(trial.recipe), (options.out / "runs" / trial.name, trial.recipe))
        # A run that an earlier call began under another name goes on by its own recipe.
        recipe = recipe if setting_differences(recipe, trial.recipe) else trial.recipe
        outcome = read_status(folder)
        if outcome.status == "unfinished" or (options.retry and outcome.failed):
            waiting.append((trial, folder, recipe))
        else:
            ends.append(outcome)
    there, failed = len(ends), sum(end.failed for end in ends)
    if there:
        and_failed = f", {failed} of them failed (--retry makes them once more)" if failed else ""
        say(f"{there} of {len(trials)} runs are there{and_failed}")
    if not waiting:
        return ends
    store = Path(options.recognisers) if options.recognisers is not None else None
    readers = {} if no_readers_reason(rows, base.task.target) else default_readers(rows, base, store)
    spent: list[float] = []
    for number, (trial, folder, recipe) in enumerate(waiting, start=there + 1):
        mean = sum(spent) / max(1, len(spent))
        rest = f", about {duration(mean * (len(waiting) - len(spent)))} left" if spent else ""
        say(f"\n[{number}/{len(trials)}] {setting_label(trial.values)}, seed {recipe.seed}{rest}")
        began = time.monotonic()
        ends.append(_make_run(folder, recipe, rows, base, readers))
        spent.append(time.monotonic() - began)
    return ends


def _make_run(folder: Path, recipe: Recipe, rows: Pairs, base: Recipe, readers: Mapping[str, Reader]) -> RunStatus:
    """One run to its end, which may be that it failed."""
    fresh, began = not (folder / RECORD).is_file(), time.monotonic()
    # What diverged would do so again from its last checkpoint; what lacked memory may go on from there.
    anew = read_status(folder).status == "diverged"
    clear_status(folder)
    try:
        seconds = _train_and_judge(folder, recipe, rows, base, readers, anew=anew)
        outcome = RunStatus("finished", seconds if fresh or anew else None)
    except (Diverged, MemoryError, RuntimeError) as error:
        full = out_of_memory(error)
        if full is None and not isinstance(error, Diverged):
            raise
        spent = time.monotonic() - began if fresh or anew else None
        outcome = RunStatus("diverged" if full is None else "out of memory", spent, full or str(error))
    if outcome.failed:
        free_memory()
        if not (folder / RECIPE).is_file():  # it failed before its first step
            create_run(folder, recipe, overwrite=False)
        say(f"failed: {outcome.message}. The sweep goes on")
    write_status(folder, outcome)
    return outcome


def _train_and_judge(
    folder: Path, recipe: Recipe, rows: Pairs, base: Recipe, readers: Mapping[str, Reader], *, anew: bool
) -> float:
    """Train, restore the validation subjects, judge. Gives the seconds of training."""
    began = time.monotonic()
    train(recipe, rows, folder, overwrite=anew)
    seconds = time.monotonic() - began
    restored, evaluation = folder / "restored", folder / "evaluation"
    record = read_yaml(restored / "restored.yaml") if (restored / "restored.yaml").is_file() else {}
    if anew or record.get("status") != "complete":
        restore(folder / "model", [rows.source], restored, split="val", precision="32", overwrite=anew)
    # The base recipe's T and judge read all settings alike, whatever a setting did to its own T.
    evaluate(restored, rows.source, evaluation, recipe=base, readers=readers, split="val", overwrite=True)
    if "judge" in readers:
        write_mistaken_shares(restored, rows, base, readers["judge"], evaluation)
    return seconds


def _join(
    options: SweepOptions, base: Recipe, todo: SweepPlan, keys: Sequence[str], record: Mapping[str, Any]
) -> SweepResult:
    """Table, choice, figure and record of all runs in the folder."""
    results = collect_results(options.out, base, todo, keys)
    write_table(options.out / TABLE, results)
    able = [result for result in results if result.candidate]
    if able and all(result.failures for result in able):
        raise Failed(
            f"every setting of {options.out} failed, so none can be chosen; {TABLE} says how each did, --retry makes "
            "them once more"
        )
    choice = choose_setting([result.as_candidate() for result in results], parse_rule(options.choose), options.within)
    chosen = next(result for result in results if result.label == choice.chosen)
    command = train_command(options, base, chosen)
    _figure(options, results, choice)
    write_yaml(
        options.out / SWEEP,
        {
            **{key: record[key] for key in ("recipe", "base", "cohort") if key in record},
            "status": "complete",
            "grid": {a.key: list(a.values) for a in parse_grid(options.grid)},
            "seeds": list(parse_seeds(options.seeds, base.seed)),
            "random": {"draws": options.random, "seed": options.seed} if options.random else None,
            "against": dict(todo.against),
            "rule": choice.rule,
            "chosen": {"setting": chosen.label, "values": chosen.values, "command": command},
            "ties": sorted(choice.ties & choice.eligible),
            "settings": settings_summary(results, choice),
            "versions": versions(),
        },
    )
    for line in ("", *printed_table(results, choice)):
        say(line)
    say(f"{legend(results, choice)}. Intervals: 95 %, by validation subject")
    say(f"{options.out}: table in {TABLE}, figure in {FIGURE}; rule: {choice.rule}")
    say(f"chosen: {choice.chosen}. Next: {command}")
    ends = [run.run_status for result in results for run in result.runs]
    return SweepResult(options.out, _print_failed(ends, options.out))


def _figure(options: SweepOptions, results: Sequence[SettingResult], choice: SettingChoice) -> None:
    from taskgan.sweep.panels import draw_sweep

    draw_sweep(results, choice, options.out / FIGURE, options.within if options.choose == "balanced" else None)


def _print_failed(ends: Sequence[RunStatus], out: Path) -> int:
    failed = sum(end.failed for end in ends)
    if failed:
        say(
            f"{failed} of {len(ends)} runs of {out} failed; settings with a failed run cannot be chosen. The same "
            "command with --retry makes them once more"
        )
    return failed


def train_command(options: SweepOptions, base: Recipe, chosen: SettingResult) -> str:
    """The command that trains the chosen setting: the user's own overrides, then its values."""
    arguments = ["taskgan", "train", options.recipe, str(options.cohort), "RUN"]
    for override in options.overrides:
        arguments += ["--set", override]
    for key, value in chosen.values.items():
        arguments += ["--set", f"{key}={yaml_text(value)}"]
    seed = chosen.runs[0].recipe.seed
    if seed != base.seed:
        arguments += ["--set", f"seed={seed}"]
    return shlex.join(arguments)
