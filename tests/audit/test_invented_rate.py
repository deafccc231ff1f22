"""The hallucination rate of volumes with known patches."""

from pathlib import Path

import numpy as np
import pytest

from discs import RECIPE, make_discs, make_restored
from taskgan.audit.inputs import from_cohort
from taskgan.audit.invented import AGAIN, InventedStructure, invented_chart, invented_structure, invented_table


def patches(*values: float) -> list[np.ndarray]:
    return [np.array(values, dtype=np.float32)]


def test_the_rate_is_the_share_of_patches_by_subject(tmp_path: Path) -> None:
    by_subject = {f"s{k}": patches(*([4.0] * (k % 2) + [-5.0] + [0.5] * (9 - k % 2))) for k in range(8)}
    found = InventedStructure({"gan": by_subject})
    assert found.threshold == 3.0
    assert found.rate("gan", 3.0).estimate == pytest.approx(0.15)
    assert found.rate("gan", 3.0, brighter=True).estimate == pytest.approx(0.05)
    assert found.rate("gan", 3.0).low > 0.09
    table = invented_table(found)
    assert [cell.text for cell in table.rows[0]] == ["GAN", "8", "80", "15.0 %", "5.0 %"]
    assert "3.00 SD" in table.note
    assert invented_chart(found, tmp_path / "c.png") == tmp_path / "c.png"


def test_clean_repeats_set_the_threshold() -> None:
    again = {"s0": patches(*np.linspace(0, 1, 101))}
    found = InventedStructure({"gan": {"s0": patches(*np.linspace(0, 2, 101))}, AGAIN: again})
    assert found.threshold == pytest.approx(0.95)
    assert found.rate(AGAIN, found.threshold).estimate == pytest.approx(0.05, abs=0.01)
    assert found.rate("gan", found.threshold).estimate == pytest.approx(0.525, abs=0.01)
    assert "clean repeats exceed" in invented_table(found).note


def test_nothing_to_contradict_with_is_said() -> None:
    table = invented_table(InventedStructure({}))
    assert not table.rows
    assert "can contradict" in table.empty


def test_a_blob_that_was_added_is_found_and_clean_images_are_not(tmp_path: Path) -> None:
    def add(clean: np.ndarray, label: float, number: int) -> np.ndarray:
        changed = clean.copy()
        changed[8:12, 8:12] += 3 * clean.max()
        return changed

    make_discs(tmp_path / "cohort", train=1, val=1, test=6, noise=0.05)
    make_restored(tmp_path / "same", tmp_path / "cohort", lambda clean, label, number: clean)
    make_restored(tmp_path / "added", tmp_path / "cohort", add)
    inputs = from_cohort(tmp_path / "added", tmp_path / "cohort", against=[tmp_path / "same"], recipe=RECIPE)
    found = invented_structure(inputs)
    assert set(found.patches) == {"added", "same"}
    assert found.rate("same", 3.0).estimate == 0
    assert found.rate("added", 3.0, brighter=True).estimate > 0.1
    assert found.record()["rates"]["same"].estimate == 0
