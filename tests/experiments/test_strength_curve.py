"""The curve between two models."""

from pathlib import Path

from discs import RECIPE, make_discs
from experiment_scripts import loaded
from small_models import card_of, network_of
from taskgan.core.files import read_yaml
from taskgan.core.tables import csv_rows
from taskgan.model.folder import write_model


def test_a_row_a_strength_and_a_picture(tmp_path: Path) -> None:
    cohort = make_discs(tmp_path / "cohort", train=4, val=6, test=1)
    models = [tmp_path / name for name in ("first", "second")]
    for seed, folder in enumerate(models):
        card = card_of().model_copy(update={"task": RECIPE.task, "judge": RECIPE.judge})
        write_model(folder, network_of(seed=seed).state_dict(), card)
    with loaded("strength_curve") as script:
        script.curve(*models, cohort, tmp_path / "out", "val", 3)
    rows = [row for _, row in csv_rows(tmp_path / "out" / "strength.csv")]
    assert [row["strength"] for row in rows] == ["0", "0.5", "1"]
    assert len({row["psnr"] for row in rows}) == 3
    assert all(row["judge_mae_low"] for row in rows)
    assert "lesion_auc" not in rows[0]
    assert (tmp_path / "out" / "strength.png").is_file()
    record = read_yaml(tmp_path / "out" / "strength.yaml")
    assert (record["subjects"], len({model["checksum"] for model in record["models"]})) == (6, 2)
