"""Where a projection cannot be had, it is said before anything is trained, all reasons at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskgan.cohort.conditions import check_projection
from taskgan.cohort.folder import write_description
from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.cohort.targets import resolved_recipe
from taskgan.core.errors import Problems, UserError
from taskgan.images.photos import Photo, write_photo
from taskgan.recipe import Recipe, parse_recipe
from taskgan.recipe.generator import Blur, Down

STEPS = [{"kind": "blur", "sigma": 2.0}, {"kind": "down", "factor": 4.0}]


def cohort(folder: Path, steps: list[dict[str, Any]] | None, *shapes: tuple[int, int]) -> Pairs:
    rows = []
    for number, shape in enumerate(shapes or ((24, 16), (24, 16))):
        image = Photo(np.full((*shape, 1), 0.5, np.float32))
        for kind in ("clean", "degraded"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            write_photo(folder / kind / f"{number}.png", image)
        files = {kind: f"{kind}/{number}.png" for kind in ("degraded", "clean")}
        rows.append({"case": number, "subject": number, "split": "train", **files, "label": number % 2})
    write_pairs(folder / "pairs.csv", rows)
    if steps is not None:
        write_description(folder, {"kind": "images", "degradation": {"steps": steps}})
    return read_pairs(folder)


def asked(projection: float = 1.0, **sections: Any) -> Recipe:
    values: dict[str, Any] = {
        "objective": "l1",
        "data": {"intensity": {"kind": "none", "output": "unit"}, "augment": {"shift": 0}},
        "generator": {"projection": projection},
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section if isinstance(section, dict) else section
    return parse_recipe(values, "test")


def test_the_steps_are_the_cohorts_unless_the_recipe_has_its_own(tmp_path: Path) -> None:
    pairs = cohort(tmp_path, STEPS)
    resolved = resolved_recipe(asked(), pairs)
    assert resolved.generator.degradation == (Blur(sigma=2), Down(factor=4))
    check_projection(resolved, pairs)
    own = asked(generator={"projection": 0.5, "degradation": [{"kind": "down", "factor": 3}]})
    assert resolved_recipe(own, pairs).generator == own.generator
    assert resolved_recipe(resolved, pairs) == resolved


def test_without_a_projection_nothing_is_asked(tmp_path: Path) -> None:
    pairs = cohort(tmp_path, None, (24, 16), (20, 16))
    recipe = asked(0.0, data={"augment": {"shift": 4}}, objective="cycle_gan")
    assert resolved_recipe(recipe, pairs) == recipe
    check_projection(recipe, pairs)


def test_a_cohort_that_does_not_say_how_it_was_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not say by which blur and down-sampling its inputs were made"):
        resolved_recipe(asked(), cohort(tmp_path, None))


@pytest.mark.parametrize(
    "step", [{"kind": "noise", "sd": 0.1}, {"kind": "poisson", "peak": 9}, {"kind": "jpeg", "quality": 30}]
)
def test_what_is_not_linear_is_refused(tmp_path: Path, step: dict[str, Any]) -> None:
    message = rf"projection is 0.5, but the degradation has {step['kind']}: the layer would print"
    with pytest.raises(Problems, match=message):
        resolved_recipe(asked(0.5), cohort(tmp_path, [*STEPS, step]))
    with pytest.raises(Problems, match=message):
        asked(generator={"projection": 0.5, "degradation": [step]})


def test_all_other_reasons_come_at_once(tmp_path: Path) -> None:
    pairs = cohort(tmp_path, STEPS, (24, 16), (20, 16))
    recipe = asked(
        objective="cycle_gan",
        data={"augment": {"shift": 2, "zoom": 0.1}, "condition": "label", "conditions": ["0", "1"]},
    )
    with pytest.raises(Problems) as caught:
        check_projection(resolved_recipe(recipe, pairs), pairs)
    assert "generator.projection is 1, which cannot be had here: 4 problems" in str(caught.value)
    for part in (
        "images that were never degraded",
        "another kind of image than what is restored",
        "after they were degraded (shift, zoom)",
        "several sizes (20×16 to 24×16)",
    ):
        assert part in str(caught.value)


def test_a_share_is_a_share() -> None:
    with pytest.raises(Problems, match=r"generator.projection: input should be less than or equal to 1"):
        asked(1.5)
