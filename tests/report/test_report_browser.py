"""The page in a real browser: every picture loads, nothing is wider than the window, no name is executed."""

from pathlib import Path

import fake_contrasts
from browser import assert_same_markup, hostile, needs_chromium, probed, rewrite
from fake_cohort import StubReader, blur, make_cohort, make_restorations, shrink
from taskgan.evaluate.run import evaluate
from taskgan.recipe import Recipe
from taskgan.report.run import compare

pytestmark = needs_chromium


def test_every_picture_loads_and_the_page_fits_a_laptop(evaluations: list[Path], tmp_path: Path) -> None:
    compare(evaluations, tmp_path / "report")
    page = probed(tmp_path / "report" / "report.html", tmp_path)
    assert page["images"] >= 4
    assert (page["broken"], page["wide"]) == (0, False)


def test_a_probe_sees_what_is_executed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    more = "window.hit=(window.hit||0)+1"
    bodies = f"<script>{more}</script><img src=x onerror={more}><svg onload={more}></svg><a href='javascript:0'>x</a>"
    page.write_text(f"<!doctype html><title>x</title>{bodies}")
    seen = probed(page, tmp_path)
    assert (seen["executed"], seen["listening"], seen["links"], seen["broken"]) == (3, 2, 1, 1)


def _report(root: Path, method: str, *, renamed: bool) -> Path:
    """Of two methods on five subjects, whose names and whose cases' are hostile or not."""
    cohort = make_cohort(root / "cohort", test=5)
    restored = {
        name: make_restorations(root / str(number) / "restored", cohort, "x", change)
        for number, (name, change) in enumerate(((method, shrink(0.6, 0.08)), ("gan", blur(1.0))))
    }
    cases: dict[str, str] = {}

    def rename(row: dict[str, str]) -> dict[str, str]:
        number = len(cases)
        cases[row["case"]] = hostile(number, file_name=True) if renamed else row["case"]
        return row | {"case": cases[row["case"]], "subject": hostile(number) if renamed else row["subject"]}

    rewrite(cohort / "pairs.csv", rename)
    folders = []
    for number, (name, folder) in enumerate(restored.items()):
        rewrite(folder / "restored.csv", lambda row: row | {"case": cases[row["case"]]})
        readers = {"task": StubReader(), "judge": StubReader(1.55, 5.0)}
        folders.append(evaluate(folder, cohort, root / str(number) / "evaluation", readers=readers, method=name))
    return compare(folders, root / "report")


def test_names_of_cases_subjects_and_methods_are_text(tmp_path: Path) -> None:
    bad = _report(tmp_path / "bad", hostile(2), renamed=True)
    good = _report(tmp_path / "good", "method", renamed=False)
    assert_same_markup(bad, good, tmp_path)


def _by_contrast(root: Path, method: str, column: str, contrasts: tuple[str, str]) -> Path:
    """Of two methods on two contrasts; the column that names them, and they, are called otherwise."""
    names = dict(zip(fake_contrasts.CONTRASTS, contrasts, strict=True))
    cohort = fake_contrasts.make_contrasts(root / "cohort", test=3)
    methods = {method: fake_contrasts.gridded(9.0, 5.0), "gan": fake_contrasts.soft(0.5, 2.0)}
    recipe: Recipe = fake_contrasts.RECIPE
    recipe = recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"condition": column, "conditions": contrasts})}
    )
    restored = [
        fake_contrasts.restore_contrasts(root / str(number) / "restored", cohort, name, change)
        for number, (name, change) in enumerate(methods.items())
    ]
    rewrite(
        cohort / "pairs.csv", lambda row: {(column if k == "contrast" else k): names.get(v, v) for k, v in row.items()}
    )
    readers = {"task": fake_contrasts.ContrastReader(), "judge": fake_contrasts.ContrastReader(20.0)}
    folders = [
        evaluate(folder, cohort, folder.parent / "evaluation", recipe=recipe, readers=readers) for folder in restored
    ]
    return compare(folders, root / "report")


def test_names_of_columns_and_conditions_are_text(tmp_path: Path) -> None:
    bad = _by_contrast(tmp_path / "bad", hostile(3), hostile(0), (hostile(2), hostile(6)))
    good = _by_contrast(tmp_path / "good", "method", "kind", ("one", "two"))
    assert_same_markup(bad, good, tmp_path)
