"""The command line's call of an audit: from arguments to inputs, judges and settings."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taskgan.audit.folders import from_folders
from taskgan.audit.inputs import Inputs, from_cohort
from taskgan.audit.run import audit
from taskgan.audit.settings import audit_settings
from taskgan.console import say
from taskgan.errors import UserError
from taskgan.recipe import Recipe, read_recipe


def run_audit(
    restored: Path,
    cohort: Path | None,
    out: Path,
    *,
    degraded: Path | None = None,
    clean: Path | None = None,
    labels: Path | None = None,
    against: Sequence[Path] = (),
    judges: Sequence[Path] = (),
    recipe: str | None = None,
    method: str | None = None,
    store: Path | None = None,
    fail_over: float | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> bool:
    """Audit by a cohort, or by folders and a table of labels.

    Args:
        restored: Restored images.
        cohort: Their cohort; None where folders are named.
        out: Audit folder to make.
        degraded: Folder of degraded images.
        clean: Folder of clean images.
        labels: Table with the column ``subject`` and those of the property (``label``).
        against: Further restorations.
        judges: Folders of trained judges.
        recipe: File or name of a recipe.
        method: Name of the audited method.
        store: Where judges that are trained are kept; in the cohort, or ``out/judges`` for folders, where None.
        fail_over: Largest rate of flips that passes.
        overwrite: Replace an existing audit.
        settings: Of :class:`~taskgan.audit.settings.AuditSettings`; None leaves the default.

    Returns:
        Whether it passes: False where ``fail_over`` is given and the upper end of the interval is above it.

    Raises:
        UserError: If arguments are missing, contradict each other or name nothing.
    """
    chosen = audit_settings(**{k: v for k, v in settings.items() if v is not None})
    if fail_over is not None and not 0 <= fail_over <= 1:
        raise UserError(f"--fail-over {fail_over:g}: expected a rate between 0 and 1")
    read = read_recipe(recipe) if recipe else None
    inputs = _inputs(restored, cohort, degraded, clean, labels, against, read, method)
    if cohort is None and store is None:
        store = out / "judges"
    done = audit(
        inputs,
        out,
        judges=judges,
        store=store,
        settings=chosen,
        overwrite=overwrite,
        command=_command(inputs, cohort, out, judges, recipe, chosen.model_dump(exclude_defaults=True)),
    )
    if fail_over is None or not done.over(fail_over):
        return True
    worst = done.outcome.worst
    if worst is not None:
        found = f"it may be up to {worst.flips.high:.3f}"
    elif done.outcome.fit:
        found = "but the judges decide nothing, so that nobody can flip (a value needs task.cut)"
    else:
        found = "nobody was fit to judge"
    say(f"failed: a rate of flips of at most {fail_over:g} was asked for, {found}")
    return False


def _inputs(
    restored: Path,
    cohort: Path | None,
    degraded: Path | None,
    clean: Path | None,
    labels: Path | None,
    against: Sequence[Path],
    recipe: Recipe | None,
    method: str | None,
) -> Inputs:
    named = {"--degraded": degraded, "--clean": clean, "--labels": labels}
    given = [name for name, value in named.items() if value is not None]
    if cohort is not None and given:
        raise UserError(f"{cohort} and {given[0]} both say which images were restored; expected one of them")
    if cohort is not None:
        return from_cohort(restored, cohort, against=against, recipe=recipe, method=method)
    if degraded is None or clean is None or labels is None:
        missing = ", ".join(name for name, value in named.items() if value is None)
        raise UserError(
            f"nothing says what {restored} was restored from: expected a cohort, or three folders' worth of "
            f"arguments ({missing} {'is' if len(given) == 2 else 'are'} missing)"
        )
    return from_folders(restored, degraded, clean, labels, against=against, recipe=recipe, method=method)


def _command(
    inputs: Inputs,
    cohort: Path | None,
    out: Path,
    judges: Sequence[Path],
    recipe: str | None,
    changed: dict[str, Any],
) -> str:
    """The call that makes the audit again, with paths as seen from the folder that holds it."""
    base = out.resolve().parent

    def seen(path: Path) -> str:
        """A path from the folder that holds the audit."""
        return Path(os.path.relpath(path.resolve(), base)).as_posix()

    words = ["taskgan", "audit", seen(inputs.audited.folder)]
    if cohort is not None:
        words.append(seen(cohort))
    else:
        first = inputs.pairs.rows[0]
        assert first.clean is not None  # folders hold whole pairs only
        words += ["--degraded", seen(first.degraded.parent), "--clean", seen(first.clean.parent)]
        words += ["--labels", seen(inputs.pairs.source)]
    words += ["-o", seen(out), "--method", inputs.audited.method]
    words += [w for r in inputs.against for w in ("--against", seen(r.folder))]
    words += [w for judge in judges for w in ("--judge", seen(judge))]
    given = {"recipe": recipe, **changed} if recipe else changed
    for key, value in given.items():
        option = f"--{key.replace('_', '-')}"
        words += (
            ["--pooled"]
            if key == "by_class"
            else [option, seen(Path(value)) if Path(str(value)).exists() else str(value)]
        )
    return shlex.join(words)
