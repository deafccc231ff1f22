"""The limit of an identity: readers taught on degraded faces compare the test pairs."""

from pathlib import Path

from drawn_faces import draw_cohort, faces
from taskgan.core.files import read_yaml
from taskgan.core.tables import csv_rows
from taskgan.limit.run import limit
from taskgan.restore.run import restore
from taskgan.train.run import train


def test_readers_of_inputs_compare_the_test_pairs(tmp_path: Path) -> None:
    cohort, settings = draw_cohort(tmp_path), faces(objective="l1")
    model = train(settings, cohort, tmp_path / "run")
    some = restore(model, cohort, tmp_path / "restored", split="test")
    out = limit(settings, cohort, tmp_path / "out", restored=[some])
    rows = {(row["taught_on"], row["reads"]): row for _, row in csv_rows(out / "limit.csv")}
    assert set(rows) == {("clean", "clean"), ("clean", "input"), ("clean", "l1"), ("inputs", "inputs")}
    assert all(0 <= float(row["auc_over_pairs"] or -1) <= 1 for row in rows.values())
    assert "AUC over pairs" in read_yaml(out / "limit.yaml")["sentence"]
    assert not (out / "readings.csv").exists()
