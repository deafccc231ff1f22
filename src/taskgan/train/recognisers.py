"""``taskgan train`` of a recipe whose objective is ``recogniser``: T and the judge, and no generator.

They are kept where every run of the cohort looks for them (``taskgan.judges.store``); the run folder holds how
well they read.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.check import check_cohort
from taskgan.cohort.folder import fingerprint
from taskgan.cohort.pairs import Pairs
from taskgan.cohort.targets import resolved_recipe
from taskgan.cohort.verification import VerificationPair, read_verification_pairs
from taskgan.core.console import say
from taskgan.core.files import write_yaml
from taskgan.judges.descriptors import DescriptorCache, verifiers
from taskgan.judges.properties import EvaluationSettings
from taskgan.judges.readers import StoredReader
from taskgan.judges.recogniser import CARD
from taskgan.judges.store import check_weights, recogniser_folder, recogniser_for
from taskgan.judges.verification import ImagePairs, format_auc, verify
from taskgan.metrics.roc import roc_curve
from taskgan.recipe import Recipe
from taskgan.train.devices import device_of, torch_switches
from taskgan.train.folder import RECORD, ROC, create_run, first_process, new_record, open_run

Floats = NDArray[np.float64]


def train_recognisers(recipe: Recipe, pairs: Pairs, run: Path, *, overwrite: bool = False) -> Path:
    """Train T and the judge of every task of a recipe, or go on with them, and record how well they read.

    A training that was killed goes on from its last look at the validation subjects. Recognisers that are there
    already are read, not trained again, also with ``overwrite``, which clears the run folder alone.

    Args:
        recipe: Of objective ``recogniser``.
        run: Run folder: ``recipe.yaml``, ``run.yaml`` with the figures, and ``roc.png`` where the cohort has pairs to
            verify.

    Returns:
        The run folder.

    Raises:
        Problems: If the cohort cannot be learnt from: everything that is wrong, at once.
        UserError: If the run folder holds something else, or another run.
    """
    selected = pairs.select(recipe.data.select)
    recipe = resolved_recipe(recipe, selected)
    used = Pairs(pairs.source, tuple(p for p in selected if p.split in ("train", "val")))
    mark = fingerprint(used, [column for task in recipe.tasks for column in task.labels])
    record = open_run(run, recipe, mark, overwrite=overwrite) if first_process() else {}
    for which in _networks(recipe).values():
        check_weights(which["settings"], which["name"])
    folders = {name: recogniser_folder(pairs, data=recipe.data, **which) for name, which in _networks(recipe).items()}
    if record.get("status") == "complete" and all((f / CARD).is_file() for f in folders.values()):
        _print_result(run, record["result"], folders, "was already finished")
        return run
    device = device_of(recipe.machine)
    with torch_switches(recipe.machine, device):
        tested = _test_pairs(pairs)
        target, *further = (task.target for task in recipe.tasks)
        for text in check_cohort(pairs, recipe.data, labels=True, target=target, further=further):
            say(f"warning: {pairs.source}: {text}")
        create_run(run, recipe, overwrite=overwrite)
        record = new_record(recipe, pairs, used, mark, device)
        write_yaml(run / RECORD, record)
        readers = {
            name: StoredReader(recogniser_for(pairs, data=recipe.data, device=device.type, **which), folders[name])
            for name, which in _networks(recipe).items()
        }
        result = _result(recipe, pairs, readers, tested, run)
    write_yaml(run / RECORD, {**record, "status": "complete", "result": result})
    _print_result(run, result, folders, "is finished")
    return run


def _networks(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """What the store is asked for, by what it is called here: ``task`` and ``judge``, and those of further tasks."""
    wanted: dict[str, dict[str, Any]] = {}
    for k, task in enumerate(recipe.tasks):
        end = f"_{task.title}" if k else ""
        wanted[f"task{end}"] = {"name": "task", "settings": task.reader, "target": task.target}
        wanted[f"judge{end}"] = {"name": "judge", "settings": task.judge or recipe.judge, "target": task.target}
    return wanted


def _test_pairs(pairs: Pairs) -> tuple[VerificationPair, ...]:
    """The cohort's test pairs, if there are some of one person and some of two."""
    listed = read_verification_pairs(pairs)
    test_pairs = listed.subset("test") if listed is not None else ()
    return test_pairs if len({pair.same for pair in test_pairs}) == 2 else ()


def _result(
    recipe: Recipe, pairs: Pairs, readers: Mapping[str, StoredReader], tested: tuple[VerificationPair, ...], run: Path
) -> dict[str, Any]:
    """Figures on the validation subjects and, of identities, on clean test pairs."""
    cards = {name: reader.recogniser.card for name, reader in readers.items()}
    result: dict[str, Any] = {
        name: {
            **{key: value for key, value in reader.description().items() if key != "training_subjects"},
            "step": cards[name].step,
        }
        for name, reader in readers.items()
    }
    if not tested or recipe.task.kind != "embedding":
        return result
    slices = EvaluationSettings().slices
    able = verifiers({n: one for n, one in readers.items() if one.kind.label_from_clean}, {}, slices=slices)
    studio = DescriptorCache(able, recipe.data, slices, pairs.folder / "derivatives" / "verification")
    rows = list({one.case: one for pair in tested for one in (pair.first, pair.second)}.values())
    listed = ImagePairs.from_people([p.first.subject for p in tested], [p.second.subject for p in tested])
    apart: dict[str, Floats] = {}
    for name, described in studio.cohort_descriptors(rows, "clean").items():
        one, two = (described.select([getattr(p, side).case for p in tested]) for side in ("first", "second"))
        apart[name] = able[name].distance(one, two)
        cut = cards[name].target.cut
        assert cut is not None  # a trained embedding has one
        metrics = asdict(verify(apart[name], listed, cut))
        result[name]["clean_test_pairs"] = {key: metrics[key] for key in metrics if key != "thresholds"}
    _draw(apart, listed, {n: result[n]["clean_test_pairs"]["auc_by_person"] for n in apart}, run / ROC)
    return result


def _draw(apart: Mapping[str, Floats], pairs: ImagePairs, areas: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """ROC curves of both readers on clean test pairs."""
    from taskgan.page.style import LABEL_STYLES, axes_figure, save_figure

    with axes_figure(1, 1, (4.2, 4.0)) as (figure, axes):
        place = axes[0, 0]
        place.plot([0, 1], [0, 1], color="#BBBBBB", linewidth=0.8)
        for (name, distances), (colour, _) in zip(apart.items(), LABEL_STYLES, strict=False):
            roc = roc_curve(distances, pairs.same)
            label = f"{name}: AUC {format_auc(areas[name])}"
            place.plot(roc.false_accepts, roc.true_accepts, color=colour, label=label, linewidth=1.5)
        place.set(
            xlabel="Pairs of two people taken for one",
            ylabel="Pairs of one person recognised",
            title=f"Clean faces, {len(pairs)} test pairs",
            xlim=(0, 1),
            ylim=(0, 1),
        )
        place.set_aspect("equal")
        place.legend(loc="lower right")
        save_figure(figure, path)


def _print_result(run: Path, result: Mapping[str, Any], folders: Mapping[str, Path], how: str) -> None:
    parts = []
    for name, folder in folders.items():
        metrics = result[name]
        on_test = metrics.get("clean_test_pairs")
        area = metrics["validation"]["auc"]
        if on_test is not None:
            what = f"AUC {format_auc(on_test['auc_by_person'])} on clean test pairs"
        elif area is not None:
            what = f"AUC {area:.3f} on validation subjects"
        else:
            what = f"MAE {metrics['validation']['slice_mae']:.3f} on validation subjects"
        parts.append(f"{name} {metrics['network']} {what}, kept in {folder}")
    say(
        f"{run} {how}: {'; '.join(parts)}. Next: taskgan train RECIPE COHORT RUN: a recipe with the same data, task "
        "and judge sections finds them there"
    )
