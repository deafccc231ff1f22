"""Every kind of folder: what the screenful tells, that it is one, and that everything is there when asked for."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskgan.core.errors import UserError
from taskgan.core.files import write_json, write_text, write_yaml
from taskgan.info import as_json, describe
from taskgan.info.describe import KINDS

SENTENCE = "With eleven test subjects, no error at all is still compatible with an error rate of 28 %, so beware."


def interval(estimate: float, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"estimate": estimate, "low": low, "high": high}


def figures(psnr: float, flips: int, slope: float) -> dict[str, Any]:
    reading = {
        "decisions": 11,
        "wrong": flips,
        "error": interval(flips / 11, 0.0, 0.518),
        "mae": interval(0.082, 0.058, 0.103),
        "flipped": flips,
        "subjects": 11,
    }
    unread = {**reading, "decisions": 0, "wrong": 0, "mae": interval(0.2), "error": {}}
    return {
        "cases": 11,
        "subjects": 11,
        "quality": {
            "psnr": interval(psnr, psnr - 1, psnr + 1),
            "ssim": interval(0.9, 0.85, 0.95),
            "rmse_relative": interval(0.2),
        },
        "readers": {"task": unread, "judge": reading, "suvr": {**reading, "mae": interval(None)}},
        "suvr": {"count": 11, "bias": interval(-0.01, -0.02, 0.0), "slope": interval(slope)},
    }


def evaluation(folder: Path) -> None:
    summary = {"input": figures(21, 3, 0.98), "clean": figures(99, 0, 1), "gan": figures(27.5, 1, 0.84)}
    write_json(folder / "summary.json", summary)
    about = {"method": "gan", "seed": 2, "restored": "../restored", "cohort": "../cohort"}
    measure = {"property": {"kind": "binary", "measure": ["slice MAE", "…"]}}
    write_yaml(folder / "evaluation.yaml", {**about, **measure, "notes": [SENTENCE] * 9, "features": {"count": 128}})


def contrasts(folder: Path) -> None:
    """An evaluation by contrast, without rows of the input."""
    evaluation(folder)
    observed = {"lesions_false": interval(2.25), "rim_error": interval(0.349), "checkerboard_error": interval(-0.0002)}
    found = {}
    for method in ("clean", "gan"):
        own = figures(27.5, 2, 0.84)
        own["quality"]["psnr_head"], own["suvr"] = interval(24.321), {}
        del own["readers"]["suvr"]
        names = ("T1w", "T1-FLAIR", "T2w", "T2-FLAIR", "STIR", "PDw")
        found[method] = {**own, "conditions": {name: {**own, "observed": observed} for name in names}}
    write_json(folder / "summary.json", found)


def run(folder: Path) -> None:
    recipe = {"objective": "gan", "seed": 1, "optimiser": {"steps": 900}, "validation": {"metric": "psnr"}}
    write_yaml(folder / "recipe.yaml", recipe)
    text = "step,pixel,adversarial,val_psnr\n100,0.5,0.3,26.5\n200,0.25,0.31,27.1\n220,0.2,0.3,\n"
    write_text(folder / "metrics.csv", text)
    about = {"status": "training", "cohort": {"name": "mine", "subjects": {"train": 24, "val": 6}}}
    about |= {"device": "cuda: H100", "machine": {"precision": "bf16"}, "command": "taskgan train pet mine run"}
    write_yaml(folder / "run.yaml", about)


def finished(folder: Path) -> None:
    run(folder)
    result = {"done": 900, "best": 27.123, "best_step": 800}
    write_yaml(folder / "run.yaml", {"status": "complete", "result": result})


def model(folder: Path) -> None:
    seen = {"cohort": "mine", "subjects": 24, "voxel_size": [[2, 2], [2, 2], [5.2, 5.5]], "people": ["x"] * 48}
    task = {"kind": "regression", "labels": ["age"], "pretrain": {"steps": 400}}
    measured = {"val_psnr": 27.1}
    card = {"name": "gan-seed1", "objective": "gan", "step": 800, "seen": seen, "task": task, "measured": measured}
    write_yaml(folder / "model.yaml", {**card, "intended_use": SENTENCE, "limits": [SENTENCE] * 5})


def recogniser(folder: Path) -> None:
    record = {"title": "judge", "settings": {"network": "convnet", "seed": 1000}, "step": 350}
    who = {"training_subjects": ["a", "b", "c"], "validation_subjects": ["d"]}
    kind = {"target": {"kind": "binary", "labels": []}, "validation": {"slice_mae": 0.12345, "outputs": {"0": 1}}}
    write_yaml(folder / "recogniser.yaml", record | who | kind)


def restored(folder: Path) -> None:
    record = {"status": "complete", "method": "gan", "images": 12, "model": "gan-seed1", "step": 800}
    write_yaml(folder / "restored.yaml", {**record, "recipe": {"task": {"kind": "binary", "labels": []}}})


def sweep(folder: Path) -> None:
    settings = [
        {"setting": f"mu_task={n}", "status": "finished", "psnr": interval(20 + n, 19, 40), "judge_mae": interval(0.1)}
        for n in range(30)
    ]
    settings.append({"setting": "mu_task=99", "status": "diverged"})
    chosen = {"setting": "mu_task=17", "command": "taskgan train pet mine RUN --set loss.mu_task=17"}
    record = {"recipe": "pet", "status": "complete", "rule": SENTENCE, "chosen": chosen, "settings": settings}
    write_yaml(folder / "sweep.yaml", {**record, "ties": ["mu_task=16"], "grid": {"loss.mu_task": list(range(31))}})
    for n in range(30):
        write_yaml(folder / "runs" / f"mu_task={n},seed=0" / "outcome.yaml", {"status": "finished"})
    failed = folder / "runs" / "mu_task=99,seed=0"
    write_yaml(failed / "outcome.yaml", {"status": "diverged", "message": "pixel became NaN at step 3"})
    write_yaml(failed / "recipe.yaml", {})


def report(folder: Path) -> None:
    record = {"compared": "Compared: GAN and Task-GAN.", "headline": SENTENCE}
    write_yaml(folder / "report.yaml", {**record, "findings": [SENTENCE] * 15, "warnings": [SENTENCE] * 7})


def audit(folder: Path) -> None:
    flips = {"flipped": 2, "subjects": 11, "flips": interval(2 / 11, 0.02, 0.52)}
    record = {"method": "gan", "subjects": 11, "cases": 22, "headline": SENTENCE, "findings": [SENTENCE] * 15}
    opinions = {"convnet-1000": {"gan": flips}, "SUVR": {"gan": flips}}
    fit = {"convnet-1000": True, "SUVR": False}
    write_yaml(folder / "audit.yaml", {**record, "warnings": [SENTENCE] * 7, "opinions": opinions, "fit": fit})


def demo(folder: Path) -> None:
    record = {"command": "taskgan demo pet", "device": "cpu", "seconds": {"a": 60.5, "b": 14.5}}
    readers = {"judge": {"network": "convnet", "on_clean": {"wrong": 0, "decisions": 12}}}
    training = {"gan": {"best": 31.2136, "best_step": 900}}
    write_yaml(folder / "demo.yaml", {**record, "readers": readers, "training": training})
    write_text(folder / "report" / "report.html", "<html>")


def cohort(folder: Path) -> None:
    rows = [
        f"c{n},s{n // 2},{'train' if n < 12 else 'val'},{n}.nii.gz,x,{n % 2},{n % 4},m{n}.nii.gz,{n / 7}"
        for n in range(20)
    ]
    write_text(folder / "pairs.csv", "case,subject,split,degraded,clean,label,contrast,mask,age\n" + "\n".join(rows))
    measured = {f"dose{n}": {"psnr": {"mean": 22.123456, "sd": 1.0}} for n in range(12)}
    write_yaml(folder / "cohort.yaml", {"kind": "pet", "measured": measured, "settings": {"scale": "demo"}})


TOLD: dict[Callable[[Path], None], list[str]] = {
    cohort: ["20 pairs of 10 subjects", "contrast 5 × 0, 5 × 1", "22.12 ± 1", "next         taskgan train RECIPE"],
    run: [
        "objective gan, seed 1, training",
        "220 of 900",
        "pixel 0.2, adversarial 0.3",
        "psnr 27.1",
        "24 training and 6 validation subjects",
        "next         taskgan train pet mine run (goes on where it was)",
    ],
    finished: ["220 of 900, best validation PSNR 27.12 dB at step 800", "next         taskgan restore "],
    model: ["24 subjects, voxels 2 × 2 × 5.2 to 5.5 mm", "regression (column age)", "val_psnr 27.1", "restore "],
    recogniser: ["judge, convnet with seed 1000", "3 subjects, stopped by 1 others at step 350", "0.1235", "audit"],
    restored: ["12 images by gan, complete", "gan-seed1", "next         taskgan evaluate "],
    sweep: [
        "1 begun, 30 finished, 1 diverged",
        "* mu_task=17  37.00 [19.00, 40.00]  0.100",
        "and 23 more in sweep.csv",
        "mu_task=99,seed=0: pixel became NaN at step 3",
        "next         taskgan train pet mine RUN --set loss.mu_task=17",
    ],
    evaluation: [
        "gan, seed 2, 11 cases of 11 subjects",
        "PSNR (dB)      21.00 [20.00, 22.00]     27.50 [26.50, 28.50]",
        "SUVR slope     0.98                     0.84",
        "−0.010 [−0.020, +0.000]",
        "judge, wrong",
        "3 of 11 (up to 52 %)  1 of 11 (up to 52 %)  3 → 1",
        "T, slice MAE",
        "next         taskgan compare ",
    ],
    contrasts: [
        "\n                 gan\n",
        "clean                 gan                   flips",
        "            PSNR head  false lesions  rim error  grid error  judge, wrong",
        "  T2-FLAIR  24.32      2.25           0.349      −0.0002     2 of 11",
    ],
    report: ["GAN and Task-GAN.", "and 11 more (--all)", "report.html"],
    audit: ["2 of 11 flipped, rate 0.182 [0.020, 0.520]", "(no judge: see warnings)", "audit.html"],
    demo: ["wrong on 0 of 12 clean test images", "best validation 31.21 at step 900", "1:15", "report.html"],
}


@pytest.mark.parametrize("make", TOLD, ids=lambda make: make.__name__)
def test_a_screenful_tells_what_it_is_the_main_figures_and_what_to_do_next(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = tmp_path / "my folder"
    make(folder)
    lines = describe(folder).splitlines()
    text = "\n".join(lines)
    assert str(folder) in lines[0]
    for told in TOLD[make]:
        assert told in text, text
    assert lines[-1].startswith("  next ")
    assert len(lines) <= 26, text
    # The first and the last hold paths, which are not cut.
    assert max(len(line) for line in lines[1:-1] if str(folder) not in line and str(tmp_path) not in line) <= 100


@pytest.mark.parametrize("make", TOLD, ids=lambda make: make.__name__)
def test_a_command_to_copy_is_whole_and_quoted(make: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "my folder"
    make(folder)
    last = describe(folder).splitlines()[-1].removeprefix("  next").strip()
    if str(folder) in last and last.startswith("taskgan"):
        assert any(str(folder) in word for word in shlex.split(last))


@pytest.mark.parametrize("make", TOLD, ids=lambda make: make.__name__)
def test_everything_is_there_when_asked_for(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path)
    found = json.loads(as_json(tmp_path))
    assert found["info"]["kind"] in {kind.name for kind in KINDS}
    text = describe(tmp_path, everything=True)
    leaves = list(leaves_of({k: v for k, v in found.items() if k != "info"}))
    assert leaves
    for key, value in leaves:
        assert key in text
        if isinstance(value, str):
            assert value in text


def leaves_of(values: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(values, dict):
        return [leaf for name, own in values.items() for leaf in leaves_of(own, name)]
    if isinstance(values, list):
        return [leaf for own in values for leaf in leaves_of(own, key)]
    return [(key, values)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("content", ["{}", "{a: [1], findings: x, summary: {input: 3}, run: [], readers: {a: 1}}"])
def test_odd_contents_break_no_screen(kind: Any, content: str, tmp_path: Path) -> None:
    if kind.marker == "pairs.csv":
        content = "case,degraded\na,x\n"
    write_text(tmp_path / kind.marker, '{"input": [], "gan": 3}' if kind.marker.endswith("json") else content)
    assert describe(tmp_path).splitlines()[-1].startswith("  next ")
    assert describe(tmp_path, everything=True)
    assert json.loads(as_json(tmp_path))["info"]["kind"] == kind.name


def test_a_number_that_is_none_is_null_in_json(tmp_path: Path) -> None:
    write_text(tmp_path / "model.yaml", "measured: {val_psnr: .inf, val_pixel: .nan}\n")
    assert json.loads(as_json(tmp_path))["measured"] == {"val_psnr": None, "val_pixel": None}


def test_a_summary_that_is_no_json_is_one_sentence(tmp_path: Path) -> None:
    write_text(tmp_path / "summary.json", "{")
    with pytest.raises(UserError, match=r"summary.json is not valid JSON"):
        describe(tmp_path)
