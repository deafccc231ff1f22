"""An audit as it is called: from paths to inputs, judges and settings."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taskgan.audit.folders import from_folders
from taskgan.audit.inputs import (
    AuditInputs,
    AuditSettings,
    EvaluationReadings,
    from_cohort,
    from_evaluation,
    is_evaluation,
)
from taskgan.audit.run import RECORD, Audit
from taskgan.audit.run import audit as audit_inputs
from taskgan.core.artefact import is_done, read_record, request_digest
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike
from taskgan.core.lock import exclusive
from taskgan.core.parse import quoted
from taskgan.core.settings import validated
from taskgan.recipe import Recipe, read_recipe


def audit(
    restored: PathLike,
    cohort: PathLike | None,
    out: PathLike,
    *,
    degraded: PathLike | None = None,
    clean: PathLike | None = None,
    labels: PathLike | None = None,
    against: Sequence[PathLike] = (),
    judges: Sequence[PathLike] = (),
    recipe: PathLike | None = None,
    task: str | None = None,
    method: str | None = None,
    store: PathLike | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> Audit:
    """Audit an evaluation, or restored images by a cohort or by folders and a table of labels.

    Args:
        restored: Folder that ``taskgan evaluate`` made, or one of restored images.
        cohort: Their cohort; None where folders are named, or an evaluation, which says its own.
        out: Audit folder to make (see :func:`taskgan.audit.run.audit`).
        degraded: Folder of degraded images.
        clean: Folder of clean images.
        labels: Table with the column ``subject`` and those of the property (``label``).
        against: Further restorations (or evaluations, beside an evaluation).
        judges: Folders of trained judges; two are trained where none is named, and kept.
        recipe: File or name of a recipe.
        task: Which of its properties is audited, by its name; None is the first (of an evaluation, the judged one).
        method: Name of the audited method.
        store: Where judges that are trained are kept; in the cohort, or ``out/judges`` for folders, where None.
        overwrite: Replace an existing audit.
        settings: Of :class:`~taskgan.audit.inputs.AuditSettings`; None leaves the default.

    Returns:
        The page, all results, and the verdict in words.

    Raises:
        UserError: If arguments are missing, contradict each other or name nothing, or an audit is already there.
        Problems: If a judge or the restorer is not independent of the audited subjects.
    """
    chosen = _settings(settings)
    read = read_recipe(recipe) if recipe else None
    images = {"degraded": degraded, "clean": clean, "labels": labels}
    further: dict[str, Any] = {**images, "against": against, "judges": judges, **settings}
    request = _request(restored, cohort, out, recipe=recipe, task=task, method=method, **further)
    table, folders = _path(cohort), [Path(judge) for judge in judges]
    options = {f"--{name}": Path(place) for name, place in images.items() if place is not None}
    others = [Path(folder) for folder in against]
    inputs = _inputs(Path(restored), table, options, read, task, against=others, method=method)
    for evaluation in inputs.evaluations[:1]:
        _check_settings(evaluation, chosen)
    if table is None and store is None and not inputs.evaluations:
        store = Path(out) / "judges"
    changed = {"recipe": str(recipe)} if recipe else {}
    changed |= chosen.model_dump(exclude_defaults=True) | ({"task": task} if task is not None else {})
    return audit_inputs(
        inputs,
        Path(out),
        judges=folders,
        store=_path(store),
        settings=chosen,
        overwrite=overwrite,
        command=_command(inputs, table, Path(out), folders, changed),
        request=request,
    )


@exclusive("out", "the audit")
def audit_passes(
    restored: Path, cohort: Path | None, out: Path, *, fail_over: float | None = None, **arguments: Any
) -> bool:
    """The command line's call: :func:`audit` with the same ``arguments``, and whether it passes.

    Args:
        fail_over: Largest rate of flips that passes.

    Returns:
        False where ``fail_over`` is given and the upper end of the interval is above it.

    Raises:
        UserError: See :func:`audit`; or if ``fail_over`` is no rate.
    """
    if fail_over is not None and not 0 <= fail_over <= 1:
        raise UserError(f"--fail-over {fail_over:g}: expected a rate between 0 and 1")
    if not arguments.get("overwrite") and is_done(out / RECORD, _request(restored, cohort, out, **arguments)):
        return _rate_allowed(_worst_upper_limit(read_record(out / RECORD)), fail_over, decided=True)
    done = audit(restored, cohort, out, **arguments)
    worst = done.outcome.worst_flips
    return _rate_allowed(worst.high if worst else None, fail_over, decided=not done.outcome.fit)


def _request(
    restored: PathLike,
    cohort: PathLike | None,
    out: PathLike,
    *,
    recipe: PathLike | None = None,
    task: str | None = None,
    method: str | None = None,
    store: PathLike | None = None,
    overwrite: bool = False,
    **further: Any,
) -> str:
    """A name for a call of :func:`audit`; where judges are kept and what is replaced changes no number."""
    chosen = {key: value for key, value in further.items() if key in AuditSettings.model_fields}
    paths = {key: _paths(value) for key, value in further.items() if key not in chosen}
    return request_digest(
        Path(out),
        restored=Path(restored),
        cohort=_path(cohort),
        recipe=read_recipe(recipe) if recipe else None,
        method=method,
        settings=_settings(chosen),
        given=paths,
        **({"task": task} if task is not None else {}),
    )


def _settings(values: Mapping[str, Any]) -> AuditSettings:
    return validated(AuditSettings, {k: v for k, v in values.items() if v is not None}, "audit cannot start")


def _paths(value: PathLike | Sequence[PathLike] | None) -> Path | list[Path] | None:
    return _path(value) if value is None or isinstance(value, str | os.PathLike) else [Path(v) for v in value]


def _worst_upper_limit(record: Mapping[str, Any]) -> float | None:
    """Upper end of the rate of flips by the worst judge, of a finished audit; None where nobody judged."""
    worst = record.get("worst")
    try:
        return float(record["opinions"][worst][record["method"]]["flips"]["high"]) if worst else None
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{RECORD} does not say how often {quoted(worst)} saw a flip, expected what taskgan audit writes; "
            "say --overwrite to make it anew"
        ) from None


def _rate_allowed(highest: float | None, allowed: float | None, *, decided: bool) -> bool:
    """Whether the rate is allowed; says why where it isn't. Where nobody judged, nothing is shown, so it is not."""
    if allowed is None or (highest is not None and highest <= allowed):
        return True
    if highest is not None:
        reason = f"it may be up to {highest:.3f}"
    elif not decided:
        reason = "but the judges decide nothing, so that nobody can flip (a value needs task.cut)"
    else:
        reason = "nobody was fit to judge"
    say(f"failed: a rate of flips of at most {allowed:g} was asked for, {reason}")
    return False


def _path(place: PathLike | None) -> Path | None:
    return Path(place) if place is not None else None


def _inputs(
    restored: Path, cohort: Path | None, named: Mapping[str, Path], recipe: Recipe | None, task: str | None, **of: Any
) -> AuditInputs:
    if is_evaluation(restored):
        superfluous = [*([str(cohort)] if cohort is not None else []), *named]
        superfluous += [*(["--recipe"] if recipe else []), *(["--task"] if task is not None else [])]
        if superfluous:
            raise UserError(
                f"{restored} is an evaluation, which says its cohort and recipe itself: leave out "
                f"{', '.join(superfluous)}"
            )
        return from_evaluation(restored, **of)
    if cohort is not None and named:
        raise UserError(f"{cohort} and {next(iter(named))} both say which images were restored; expected one of them")
    if cohort is not None:
        return from_cohort(restored, cohort, recipe=recipe, task=task, **of)
    missing = [name for name in ("--degraded", "--clean", "--labels") if name not in named]
    if missing:
        raise UserError(
            f"nothing says what {restored} was restored from: expected a cohort, or three folders' worth of "
            f"arguments ({', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing)"
        )
    return from_folders(restored, *named.values(), recipe=recipe, task=task, **of)


def _check_settings(evaluation: EvaluationReadings, settings: AuditSettings) -> None:
    """What was read in other slices, or against another cut, cannot be audited beside what is read now."""
    was = evaluation.record.get("settings") or {}
    for name in ("slices", "suvr_cut"):
        option, expected = f"--{name.replace('_', '-')}", getattr(settings, name)
        said = was.get(name)
        if said != expected:
            raise UserError(
                f"{evaluation.folder} was read with {option} {said}, expected {expected}: say {option} {said}"
            )


def _command(
    inputs: AuditInputs, cohort: Path | None, out: Path, judges: Sequence[Path], changed: Mapping[str, Any]
) -> str:
    """The call that makes the audit again, with paths as seen from the folder that holds it."""
    base = out.resolve().parent

    def from_base(path: Path) -> str:
        """A path from the folder that holds the audit."""
        return Path(os.path.relpath(path.resolve(), base)).as_posix()

    evaluated = {e.restored.resolve(): e.folder for e in inputs.evaluations}

    def folder(path: Path) -> str:
        """Of an evaluation, if these images were read there."""
        return from_base(evaluated.get(path.resolve(), path))

    arguments = ["taskgan", "audit", folder(inputs.audited.folder)]
    if cohort is not None and not inputs.evaluations:
        arguments.append(from_base(cohort))
    elif not inputs.evaluations:  # which say the rest themselves
        first = inputs.pairs.rows[0]
        assert first.clean is not None  # folders hold whole pairs only
        arguments += ["--degraded", from_base(first.degraded.parent), "--clean", from_base(first.clean.parent)]
        arguments += ["--labels", from_base(inputs.pairs.source)]
    arguments += ["-o", from_base(out), "--method", inputs.audited.method]
    arguments += [w for r in inputs.against for w in ("--against", folder(r.folder))]
    arguments += [w for judge in judges for w in ("--judge", from_base(judge))]
    for key, value in changed.items():
        place = from_base(Path(str(value))) if Path(str(value)).exists() else str(value)
        arguments += ["--pooled"] if key == "by_class" else [f"--{key.replace('_', '-')}", place]
    return shlex.join(arguments)
