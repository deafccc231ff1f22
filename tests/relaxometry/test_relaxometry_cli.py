"""By the command line, and as evaluate takes it."""

import json

import pytest

from small_mr import write_cohort
from taskgan.cli.app import app
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml, write_yaml
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.images.volumes import sidecar
from taskgan.physics.sequences import target_path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    write_cohort(folder / "cohort", contrasts=("T1w", "T2-FLAIR"))
    write_yaml(
        folder / "recipe.yaml",
        {
            "data": {"intensity": {"kind": "percentile"}, "condition": "contrast"},
            "task": {"kind": "multi_class", "classes": 6},
        },
    )
    return folder


def _run(place, *arguments):
    app(["restore", "relaxometry", str(place / "cohort"), *map(str, arguments)], standalone_mode=False)


def test_the_name_of_the_method_takes_the_place_of_a_model_and_evaluate_takes_the_result(place, monkeypatch):
    # A folder of that name is not meant by it: an output may well be called after the method.
    monkeypatch.chdir(place)
    (place / "relaxometry").mkdir()
    out = place / "restored"
    own = sidecar(place / "cohort" / target_path("sub-1", "T1w"))
    own.write_text(json.dumps({**json.loads(own.read_text()), "IntensityFactor": 3.0}))
    _run(place, "-o", out, "--split", "test", "--recipe", place / "recipe.yaml")
    evaluate(out, place / "cohort", place / "evaluation", readers={})
    cases = read_case_table(place / "evaluation")
    rows = cases[cases["method"] == "relaxometry"].set_index("condition")
    assert set(rows.index) == {"T1w", "T2-FLAIR"}
    assert (rows["psnr_head"] > 25).all()
    assert rows["seed"].isna().all()
    # What was warned of where images were made is said again beside the figures.
    notes = read_yaml(place / "evaluation" / "evaluation.yaml")["notes"]
    assert sum("the true images of T1w have a scale of their own" in note for note in notes) == 1


def test_options_of_the_one_kind_are_refused_by_the_other(place):
    with pytest.raises(UserError, match="--samples is of a model; relaxometry is none"):
        _run(place, "-o", place / "other", "--samples", "2")
    with pytest.raises(UserError, match="--maps is of relaxometry"):
        app(["restore", "nowhere", "x.nii.gz", "-o", "y", "--maps"], standalone_mode=False)
