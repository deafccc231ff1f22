"""An evaluation of a cohort with pairs: who is told apart on clean, degraded and restored images, and at what cut."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drawn_faces import faces
from taskgan.cohort.pairs import read_pairs, write_pairs
from taskgan.core.errors import Problems
from taskgan.core.files import read_yaml
from taskgan.evaluate.run import evaluate
from taskgan.evaluate.verification_table import COLUMNS, DistanceTable, read_verification
from taskgan.judges.verification import verify
from taskgan.metrics.roc import best_threshold
from taskgan.stats import auc_interval

READERS = ("judge", "lbp", "eigenfaces")
COUNTED = {"test": 30, "train": 20, "val": 18}


class Coarse:
    """Reads means of 4×4 pixels: a descriptor that blur hardly changes."""

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        s, h, w = slices.shape
        means = slices.reshape(s, h // 4, 4, w // 4, 4).mean(axis=(2, 4)).reshape(s, -1)
        means = means - means.mean(axis=1, keepdims=True)
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)

    def description(self) -> dict[str, Any]:
        return {"network": "coarse"}


class Blind(Coarse):
    """Gives all images nearly one descriptor, in which there is nobody."""

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        found = np.ones((len(slices), 8)) + 1e-3 * np.sin(1e4 * slices.sum(axis=(1, 2)))[:, None] * np.arange(8)
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


class Bright:
    """Reads a number."""

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        return slices.mean(axis=(1, 2))


def judged(drawn: Path, restored: Path, out: Path, reader: Any = None, **more: Any) -> Path:
    readers = {"judge": reader or Coarse()}
    return evaluate(restored, drawn, out, recipe=faces(), method="mixed", readers=readers, **more)


def table_of(folder: Path) -> DistanceTable:
    found = read_verification(folder)
    assert found is not None
    return found


def figures_in(folder: Path) -> dict[str, Any]:
    summary = json.loads((folder / "summary.json").read_text())
    return {method: summary[method]["verification"] for method in summary}


def test_a_row_a_pair_and_all_figures_of_each_reader(
    drawn: Path, restored_by: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = judged(drawn, restored_by(0.5), tmp_path / "evaluation")
    table = table_of(out)
    assert table.readers == READERS
    assert {name: len(table.subset(name)) for name in ("test", "train", "val")} == COUNTED
    header, *lines = (out / "verification.csv").read_text().splitlines()
    images = ("clean", "input", "restored", "input_probe", "restored_probe")
    # Each sort of image with its probe, in the order of the protocol.
    assert set(header.split(",")) == {*COLUMNS, *(f"{r}_{i}" for r in READERS for i in images)}
    assert all(line.count(",,") for line in lines[30:])  # clean alone
    figures = figures_in(out)
    assert set(figures) == {"clean", "input", "mixed"}
    train_same, val_same = ([row.same for row in table.subset(name)] for name in ("train", "val"))
    for reader in READERS:
        found = figures["mixed"][reader]
        cut = best_threshold(table.distance(reader, "clean", "train"), train_same)
        expected = verify(table.distance(reader, "restored"), table.pairs(), cut)
        for name in ("auc", "auc_by_person", "equal_error_rate", "accuracy"):
            assert found[name]["estimate"] == pytest.approx(getattr(expected, name).estimate), name
        assert (found["pairs"], found["people"], found["threshold"]) == (30, 6, cut)
        assert found["threshold_val"] == best_threshold(table.distance(reader, "clean", "val"), val_same)
        right = (table.distance(reader, "restored") <= found["threshold_val"]) == table.pairs().same
        assert found["accuracy_val"]["estimate"] == pytest.approx(right.mean())
        probe = auc_interval(-table.distance(reader, "restored_probe"), table.pairs().same, range(30))
        assert found["probe"]["auc"]["estimate"] == pytest.approx(probe.estimate)
        assert "probe" not in figures["clean"][reader]
    record = read_yaml(out / "evaluation.yaml")["verification"]
    assert (record["file"], record["pairs"], record["people"]) == ("verification.csv", 30, 6)
    assert record["sets"] == COUNTED
    assert record["readers"]["judge"]["network"] == "coarse"
    assert record["readers"]["lbp"]["learned"] is False
    assert record["readers"]["lbp"]["auc"] == figures["clean"]["lbp"]["auc_by_person"]
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("verification by")]
    assert [line.split()[2] for line in shown] == ["judge,", "lbp,", "eigenfaces,"]
    assert f"mixed {figures['mixed']['judge']['auc']['estimate']:.3f} (" in shown[0]


@pytest.mark.parametrize(("share", "same_as"), [(1.0, "clean"), (0.0, "input")])
def test_what_is_restored_is_compared_as_the_image_that_it_is(
    drawn: Path, restored_by: Callable[..., Path], tmp_path: Path, share: float, same_as: str
) -> None:
    out = judged(drawn, restored_by(share), tmp_path / "evaluation")
    table, figures = table_of(out), figures_in(out)
    probe = "clean" if same_as == "clean" else "input_probe"
    for reader in READERS:
        np.testing.assert_array_equal(table.distance(reader, "restored"), table.distance(reader, same_as))
        np.testing.assert_array_equal(table.distance(reader, "restored_probe"), table.distance(reader, probe))
        assert figures["mixed"][reader]["accuracy_val"] == figures[same_as][reader]["accuracy_val"]
        assert figures["clean"][reader]["auc"]["estimate"] > 0.75  # the drawn people differ


def test_the_first_image_of_a_probe_is_the_methods_and_the_second_clean(
    drawn: Path, restored_by: Callable[..., Path], tmp_path: Path
) -> None:
    pairs = {pair.case: pair for pair in read_pairs(drawn)}
    table = table_of(judged(drawn, restored_by(0.0), tmp_path / "evaluation"))
    row = table.subset("test")[7]

    def read(path: Any) -> NDArray[np.float32]:
        from taskgan.images.volumes import read_volume

        return Coarse().read(np.moveaxis(read_volume(path).data, 2, 0))[0]

    apart = np.linalg.norm(read(pairs[row.first].degraded) - read(pairs[row.second].clean))
    assert table.distance("judge", "input_probe")[7] == pytest.approx(apart, abs=1e-5)


def test_pairs_of_images_that_were_not_restored_are_left_out_and_counted(
    drawn: Path, restored_by: Callable[..., Path], tmp_path: Path
) -> None:
    absent = ("Tested_0_0001", "Tested_1_0003")
    out = judged(drawn, restored_by(1.0, without=absent), tmp_path / "evaluation")
    rows = table_of(out).subset("test")
    assert 0 < len(rows) < 30
    assert not {name for row in rows for name in (row.first, row.second)} & set(absent)
    [note] = [n for n in read_yaml(out / "evaluation.yaml")["notes"] if "left out of the verification" in n]
    assert f"{30 - len(rows)} of 30 pairs" in note
    assert "2 of their images were not restored: " in note
    assert figures_in(out)["clean"]["judge"]["pairs"] == len(rows)


@pytest.mark.parametrize(
    ("kept", "sentence"),
    [
        (("Tested_0_0001", "Tested_5_0001"), "no pair of verification.csv has both images restored"),
        (("Tested_4_0001", "Tested_4_0002", "Tested_4_0003"), "restored pairs are of one person"),
    ],
)
def test_too_few_restored_images_are_a_note_and_no_figures(
    drawn: Path, restored_by: Callable[..., Path], tmp_path: Path, kept: tuple[str, ...], sentence: str
) -> None:
    cases = [pair.case for pair in read_pairs(drawn).split("test")]
    restored = restored_by(1.0, without=tuple(case for case in cases if case not in kept))
    out = judged(drawn, restored_by(1.0, "all"), tmp_path / "evaluation")
    assert (out / "verification.csv").exists()
    judged(drawn, restored, out, overwrite=True)
    record = read_yaml(out / "evaluation.yaml")
    assert any(sentence in note for note in record["notes"])
    assert "verification" not in record
    assert read_verification(out) is None  # the older one is gone
    assert "verification" not in json.loads((out / "summary.json").read_text())["mixed"]


def test_a_reader_that_cannot_tell_clean_people_apart_is_said_to_be_no_judge(
    drawn: Path, restored_by: Callable[..., Path], tmp_path: Path
) -> None:
    out = judged(drawn, restored_by(1.0), tmp_path / "evaluation", Blind())
    said = [note for note in read_yaml(out / "evaluation.yaml")["notes"] if "hardly tell people apart" in note]
    assert len(said) == 1
    assert said[0].startswith("judge can hardly tell people apart on clean images (AUC 0.")


def test_another_tools_folder_is_compared_by_the_readers_that_are_not_learned(
    drawn: Path, restored_by: Callable[..., Path], tmp_path: Path
) -> None:
    out = evaluate(restored_by(0.5), drawn, tmp_path / "evaluation", method="x")
    [note] = [n for n in read_yaml(out / "evaluation.yaml")["notes"] if "--recipe" in n]
    assert "has label 5, expected 0 or 1" in note  # the number of a person
    assert read_yaml(out / "evaluation.yaml")["readers"] == {}
    assert table_of(out).readers == ("lbp", "eigenfaces")


def test_a_reader_of_another_property_tells_nobody_apart(
    drawn: Path, restored_by: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = faces(task={}, judge={"network": "convnet", "seed": 1})  # binary
    reader = {"judge": Bright()}
    out = evaluate(restored_by(0.5), drawn, tmp_path / "evaluation", recipe=recipe, method="x", readers=reader)
    assert table_of(out).readers == ("lbp", "eigenfaces")


def test_a_cohort_without_pairs_is_evaluated_as_before(
    drawn: Path, restored_by: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "cohort"
    rows = [pair.columns | {"degraded": str(pair.degraded), "clean": str(pair.clean)} for pair in read_pairs(drawn)]
    write_pairs(folder / "pairs.csv", rows)
    out = judged(folder, restored_by(0.5), tmp_path / "without")
    assert read_verification(out) is None
    record = read_yaml(out / "evaluation.yaml")
    assert "verification" not in record
    assert not any("verif" in note for note in record["notes"])


def test_sets_without_pairs_to_choose_by_leave_the_accuracy_open(
    drawn: Path, restored_by: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "cohort"
    rows = [
        pair.columns | {"degraded": str(pair.degraded), "clean": str(pair.clean)}
        for pair in read_pairs(drawn)
        if pair.split != "val"
    ]
    write_pairs(folder / "pairs.csv", rows)
    listed = (drawn / "verification.csv").read_text().splitlines()
    (folder / "verification.csv").write_text("\n".join(r for r in listed if not r.startswith("train")) + "\n")
    out = judged(folder, restored_by(0.5), tmp_path / "evaluation")
    found = figures_in(out)["mixed"]["judge"]
    assert [found[name] for name in ("accuracy", "threshold", "accuracy_val", "threshold_val")] == [None] * 4
    assert found["auc"]["estimate"] > 0.5
    notes = read_yaml(out / "evaluation.yaml")["notes"]
    assert sum("no accuracy at a threshold of theirs" in note for note in notes) == 2


def test_malformed_pairs_are_refused_before_anything_is_measured(
    drawn: Path, restored_by: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "cohort"
    write_pairs(folder / "pairs.csv", [pair.columns for pair in read_pairs(drawn)])
    (folder / "verification.csv").write_text("set,first,second,same\ntest,Tested_0_0001,nobody,0\n")
    with pytest.raises(Problems, match="no case of pairs.csv"):
        judged(folder, restored_by(0.5), tmp_path / "evaluation")
    assert not (tmp_path / "evaluation").exists()
