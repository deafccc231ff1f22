"""Readers of clean images, of inputs and of restorations: what a task network could win."""

from pathlib import Path

import numpy as np
import pytest

from discs import RECIPE, keep, make_discs, make_restored
from taskgan.core.artefact import verify
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.core.tables import csv_rows
from taskgan.info import describe
from taskgan.judges.limits import find_limit
from taskgan.judges.store import recogniser_for
from taskgan.limit.run import input_view, limit
from taskgan.recipe import Data

DEEP = RECIPE.model_copy(update={"data": Data(neighbours=1, context=(2.0,))})


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_discs(tmp_path_factory.mktemp("discs"), noise=0.5)


def rows_of(table: Path) -> dict[tuple[str, str], dict[str, str | None]]:
    return {(str(row["taught_on"]), str(row["reads"])): row for _, row in csv_rows(table)}


def test_a_limit_is_a_table_a_picture_and_a_sentence(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = make_restored(tmp_path / "l1", discs, keep, splits=("train", "val", "test"))
    some = make_restored(tmp_path / "gan", discs, keep)
    out = limit(DEEP, discs, tmp_path / "out", restored=[kept, some], slices=4)
    found = rows_of(out / "limit.csv")
    assert set(found) == {
        ("clean", "clean"), ("clean", "input"), ("clean", "l1"), ("clean", "gan"), ("inputs", "inputs"), ("l1", "l1"),
    }  # fmt: skip
    assert float(found["clean", "clean"]["auc"] or 0) > 0.9
    assert float(found["inputs", "inputs"]["left_to_win"] or 1) == 0
    record = read_yaml(out / "limit.yaml")
    assert record["sentence"] in describe(out).replace("\n" + " " * 15, " ")
    assert record["subjects"] == 12
    assert verify(out)[1] == []
    assert (out / "limit.png").stat().st_size > 5000
    assert "Next: taskgan compare" in capsys.readouterr().out
    limit(DEEP, discs, out, restored=[kept, some], slices=4)
    assert "already done" in capsys.readouterr().out
    with pytest.raises(UserError, match="other inputs or settings"):
        limit(DEEP, discs, out, restored=[kept], slices=4)
    recipe = record["recipe"]
    assert find_limit(out, [], recipe) is not None
    assert find_limit(None, [discs], recipe) is None
    with pytest.raises(UserError, match="of the same property"):
        find_limit(out, [], {"task": {"kind": "regression", "labels": ["age"]}})


def test_a_reader_of_the_inputs_sees_all_that_a_generator_gets(discs: Path, tmp_path: Path) -> None:
    from taskgan.cohort.pairs import read_pairs
    from taskgan.cohort.slices import load_case, with_neighbours

    pairs = read_pairs(discs)
    case = load_case(pairs.rows[0], DEEP.data)
    shown = input_view(DEEP.data).slices(case)
    assert shown.shape == (6, 4, 24, 24)
    np.testing.assert_array_equal(shown[2], with_neighbours(case.inputs, 2, 1, 1))
    assert input_view(Data()).slices(load_case(pairs.rows[0], Data())).ndim == 3
    options = {"name": "judge", "store": tmp_path, "target": RECIPE.task.target}
    reader = recogniser_for(pairs, RECIPE.judge, DEEP.data, view=input_view(DEEP.data), **options)
    assert reader.card.in_channels == 4
    assert reader.read(shown).shape == (6,)
    assert recogniser_for(pairs, RECIPE.judge, DEEP.data, **options).card.in_channels == 1
    assert len(list(tmp_path.glob("judge-*"))) == 2


def test_what_cannot_be_told_is_refused(discs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--reader both"):
        limit(RECIPE, discs, tmp_path / "out", reader="both")
    with pytest.raises(UserError, match="does not exist"):
        limit(RECIPE, discs, tmp_path / "out", restored=[tmp_path / "nowhere"])
    assert not (tmp_path / "out").exists()
