import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from discs import RECIPE, make_restored
from taskgan.audit.inputs import AuditInputs, from_cohort
from taskgan.audit.judges import Judge, check_judges, check_subjects, load_judges, shared_weights
from taskgan.audit.run import audit
from taskgan.cohort.pairs import Pairs, image_digests, read_pairs, subject_digest, subject_digests
from taskgan.core.errors import Problems
from taskgan.core.files import read_yaml, write_yaml
from taskgan.judges.recogniser import WEIGHTS
from taskgan.judges.store import recogniser_for


@pytest.fixture
def inputs(discs: Path) -> AuditInputs:
    return from_cohort(discs / "kept", discs / "cohort")


def test_judges_trained_for_the_audit_are_independent(inputs: AuditInputs, judges: list[Judge], discs: Path) -> None:
    assert check_judges(judges, inputs, discs / "store") == []


@pytest.fixture(scope="module")
def task(discs: Path, judges: list[Judge], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the restorer's own T in it, and the folder of T."""
    store = tmp_path_factory.mktemp("task")
    settings = RECIPE.task.pretrain.model_copy(update={"steps": 2})
    recogniser_for(read_pairs(discs / "cohort"), settings, RECIPE.data, name="task", store=store)
    [folder] = store.iterdir()
    return folder


def test_the_task_network_is_refused_by_its_weights(discs: Path, task: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(
        update={
            "task": RECIPE.task.model_copy(update={"pretrain": RECIPE.task.pretrain.model_copy(update={"steps": 2})})
        }
    )
    inputs = from_cohort(discs / "kept", discs / "cohort", recipe=recipe)
    disguised = tmp_path / "disguised"
    shutil.copytree(task, disguised)
    card = read_yaml(disguised / "recogniser.yaml")
    card["settings"]["seed"] = 77
    write_yaml(disguised / "recogniser.yaml", card)
    with pytest.raises(Problems, match=r"shares 100 % of its weights with the task network.*T is never its own"):
        audit(inputs, tmp_path / "out", judges=[disguised], store=task.parent)
    weights = load_file(disguised / WEIGHTS)
    changed = {k: v + 0.01 if k.startswith("head") else v for k, v in weights.items()}
    save_file(changed, disguised / WEIGHTS)  # a new head on T's layers
    with pytest.raises(Problems, match=r"shares \d+ % of its weights"):
        check_judges(load_judges([disguised]), inputs, task.parent)
    assert not (tmp_path / "out").exists()


def test_the_task_network_is_refused_by_network_and_seed_where_its_weights_are_gone(
    inputs: AuditInputs, task: Path, tmp_path: Path
) -> None:
    with pytest.raises(Problems, match=r"has the network resnet18 and the seed 0 of the restorer's task network"):
        check_judges(load_judges([task]), inputs, tmp_path / "empty")


def test_kin_of_the_task_network_is_noted(inputs: AuditInputs, task: Path, tmp_path: Path) -> None:
    shutil.copytree(task, tmp_path / "kin")
    card = read_yaml(tmp_path / "kin" / "recogniser.yaml")
    card["settings"]["seed"] = 5
    write_yaml(tmp_path / "kin" / "recogniser.yaml", card)
    [note] = check_judges(load_judges([tmp_path / "kin"]), inputs, tmp_path / "empty")
    assert "is a resnet18 like the restorer's task network" in note


def test_a_judge_that_learnt_from_an_audited_subject_is_refused(
    inputs: AuditInputs, folders: list[Path], tmp_path: Path
) -> None:
    for role in ("training_subjects", "validation_subjects"):
        place = tmp_path / role
        shutil.copytree(folders[0], place)
        card = read_yaml(place / "recogniser.yaml")
        card[role] = [*card[role], "test03"]
        write_yaml(place / "recogniser.yaml", card)
        with pytest.raises(Problems, match=rf"learnt from audited subjects \({role.replace('_', ' ')}\): test03"):
            audit(inputs, tmp_path / "out", judges=[place])
    assert not (tmp_path / "out").exists()


def test_one_judge_twice_is_refused(inputs: AuditInputs, folders: list[Path], tmp_path: Path) -> None:
    shutil.copytree(folders[0], tmp_path / "copy")
    assert shared_weights(folders[0] / WEIGHTS, folders[1] / WEIGHTS) == 0
    with pytest.raises(Problems, match=r"share 100 % of their weights, so that they are one judge"):
        check_judges(load_judges([folders[0], tmp_path / "copy"]), inputs)


def test_a_restorer_that_was_trained_on_an_audited_subject_is_refused(discs: Path, tmp_path: Path) -> None:
    rows = read_pairs(discs / "cohort")
    honest = {"people": subject_digests(rows.split("train")), "images": image_digests(rows.split("train"))}
    seen = {k: list(v) for k, v in honest.items()}
    told = from_cohort(make_restored(tmp_path / "honest", discs / "cohort", seen=seen), discs / "cohort")
    assert check_subjects(told) == []
    by_name = {"people": [*seen["people"], subject_digest("test02")]}
    leaky = from_cohort(make_restored(tmp_path / "leaky", discs / "cohort", seen=by_name), discs / "cohort")
    with pytest.raises(Problems, match=r"leaky .* was trained on audited subjects: test02"):
        audit(leaky, tmp_path / "out")
    both = {k: [*v, *extra] for (k, v), extra in zip(seen.items(), _marks_of(rows, "test02"), strict=True)}
    sure = from_cohort(make_restored(tmp_path / "sure", discs / "cohort", seen=both), discs / "cohort")
    with pytest.raises(Problems, match=r"was trained on audited subjects: test02"):
        check_subjects(sure)
    by_image = {**seen, "images": [*seen["images"], *image_digests(p for p in rows if p.case == "test04")]}
    renamed = from_cohort(make_restored(tmp_path / "renamed", discs / "cohort", seen=by_image), discs / "cohort")
    with pytest.raises(Problems, match=r"on the clean images of audited subjects, under other names: test04"):
        check_subjects(renamed)
    assert not (tmp_path / "out").exists()


def test_namesakes_of_training_subjects_are_taken_for_other_people_and_this_is_said(
    discs: Path, tmp_path: Path
) -> None:
    seen = {"people": [subject_digest("test02"), subject_digest("test03")], "images": ["0" * 16]}
    inputs = from_cohort(make_restored(tmp_path / "r", discs / "cohort", seen=seen), discs / "cohort")
    [note] = check_subjects(inputs)
    assert "of the same name as test02, test03, but not on these images" in note


def _marks_of(rows: Pairs, case: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    one = [p for p in rows if p.case == case]
    return subject_digests(one), image_digests(one)


def test_who_cannot_say_on_whom_it_was_trained_is_taken_on_trust_and_this_is_said(inputs: AuditInputs) -> None:
    [note] = check_subjects(inputs)
    assert note.startswith("nothing says on whom kept was trained")


def test_one_image_under_two_names_is_refused(discs: Path, tmp_path: Path) -> None:
    shutil.copytree(discs / "cohort", tmp_path / "cohort")
    shutil.copy(tmp_path / "cohort/clean/test01.nii.gz", tmp_path / "cohort/clean/train01.nii.gz")
    inputs = from_cohort(discs / "kept", tmp_path / "cohort")
    with pytest.raises(
        Problems, match=r"same clean image stands under several names.*test01 .*train01|train01.*test01"
    ):
        audit(inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_subject_in_two_splits_is_refused(discs: Path, tmp_path: Path) -> None:
    shutil.copytree(discs / "cohort", tmp_path / "cohort")
    table = pd.read_csv(tmp_path / "cohort/pairs.csv")
    table.loc[table["case"] == "train01", "subject"] = "test01"
    table.to_csv(tmp_path / "cohort/pairs.csv", index=False)
    with pytest.raises(Problems, match=r"audited subjects in the split train or val too: test01"):
        check_subjects(from_cohort(discs / "kept", tmp_path / "cohort"))


def test_marks_keep_names_out_and_know_bytes(discs: Path) -> None:
    rows = read_pairs(discs / "cohort").split("train")
    assert "train00" not in "".join(subject_digests(rows))
    assert len(image_digests(rows)) == len(subject_digests(rows)) == 8
    assert image_digests([replace(rows.rows[0], clean=None)]) == ()
