from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from taskgan.cohort.check import check_cohort
from taskgan.cohort.conditions import condition_of, one_hot, resolved_conditions, with_condition_planes
from taskgan.cohort.dataset import Steps, TrainingSlices
from taskgan.cohort.pairs import Pairs, read_pairs
from taskgan.cohort.slices import load_case
from taskgan.cohort.targets import resolved_recipe
from taskgan.cohort.unpaired import UnpairedSteps
from taskgan.core.errors import Problems, UserError
from taskgan.images.intensity import Intensity, fit_further
from taskgan.judges.store import recogniser_folder
from taskgan.judges.volumes import clean_slices
from taskgan.recipe import Augment, Data, IntensityTransform, Recipe, Target, parse_recipe

SHARED = IntensityTransform(kind="percentile", shared=True)


@pytest.fixture
def table(make_contrasts: Callable[..., Path], tmp_path: Path) -> Pairs:
    return read_pairs(make_contrasts(tmp_path / "cohort"))


def data(**changes: Any) -> Data:
    values: dict[str, Any] = {"inputs": ("degraded", "imag"), "condition": "contrast", "intensity": SHARED}
    return Data(**(values | {"augment": Augment(flip=True, shift=2)} | changes))


def resolved(table: Pairs, **changes: Any) -> Data:
    return resolved_conditions(data(**changes), table)


def edited(table: Pairs, old: str, new: str) -> Pairs:
    text = table.source.read_text()
    assert old in text
    table.source.write_text(text.replace(old, new))
    return read_pairs(table.source)


def test_conditions_come_from_the_training_rows_in_the_order_of_their_labels(table: Pairs) -> None:
    assert resolved(table).conditions == ("T2w", "T1w", "PDw")


def test_where_a_condition_has_several_labels_the_alphabet_decides(table: Pairs) -> None:
    mixed = edited(table, "sub-train1_T2w.nii,0", "sub-train1_T2w.nii,1")
    assert resolved(mixed).conditions == ("PDw", "T1w", "T2w")


def test_named_conditions_are_kept_in_their_order_and_numbers_are_names(table: Pairs) -> None:
    assert resolved(table, conditions=("PDw", "T2w")).conditions == ("PDw", "T2w")
    assert Data.model_validate({"condition": "dose", "conditions": [1, 5]}).conditions == ("1", "5")


def test_resolved_recipe_writes_the_conditions_down(table: Pairs) -> None:
    recipe = parse_recipe({"data": data().model_dump(mode="json")}, "test")
    assert resolved_recipe(recipe, table).data.conditions == ("T2w", "T1w", "PDw")
    assert resolved_recipe(recipe, table).data.channels == 2 + 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"conditions": ["T1w"]}, "expected data.condition"),
        ({"condition": "contrast", "conditions": ["T1w", "T1w"]}, "each once"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(Problems, match=said):
        parse_recipe({"data": values}, "test")


def test_channels_are_not_counted_before_the_conditions_are_known() -> None:
    with pytest.raises(ValueError, match="not known before"):
        _ = data().channels


def test_a_missing_column_and_unknown_values_are_sentences(table: Pairs) -> None:
    with pytest.raises(UserError, match="no column 'sequence'.*columns are"):
        resolved(table, condition="sequence")
    with pytest.raises(Problems, match="no column 'sequence'"):
        check_cohort(table, data(condition="sequence", conditions=("a",)), labels=False)
    strange = edited(table, "sub-val1,val,PDw", "sub-val1,val,STIR")
    with pytest.raises(Problems, match=r"sub-val1_PDw\) has contrast 'STIR', expected one of T2w, T1w, PDw"):
        check_cohort(strange, resolved(strange), labels=False)
    empty = edited(strange, "sub-val1,val,STIR", "sub-val1,val,")
    with pytest.raises(Problems, match="has no contrast, expected one of"):
        check_cohort(empty, resolved(empty), labels=False)


def test_a_condition_that_no_training_row_has_is_named(table: Pairs) -> None:
    with pytest.raises(Problems, match="no training row has contrast STIR"):
        check_cohort(table, data(conditions=("T1w", "T2w", "PDw", "STIR")), labels=False)


def test_a_condition_has_to_go_into_a_files_name(table: Pairs) -> None:
    strange = edited(table, ",PDw,", ",PD/w,")
    with pytest.raises(Problems, match="contrast 'PD/w' has a slash"):
        check_cohort(strange, resolved(strange), labels=False)


def test_a_sound_cohort_passes_and_its_shared_files_are_read_once(
    table: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    import taskgan.cohort.check as check

    read: list[Path] = []
    real = check.read_volume
    monkeypatch.setattr(check, "read_volume", lambda path, **more: (read.append(path), real(path, **more))[1])
    check_cohort(table, resolved(table), labels=False, threads=1)
    assert len(read) == len(set(read)) == 5 * (2 + 3)  # training and validation subjects


def test_an_input_without_positive_values_needs_the_shared_scale(table: Pairs) -> None:
    alone = resolved(table, intensity=IntensityTransform(kind="percentile"))
    with pytest.raises(Problems, match=r"imag.nii has no positive values"):
        check_cohort(table, alone, labels=False)


def test_the_shared_scale_is_the_degraded_images_for_inputs_and_clean(table: Pairs) -> None:
    case = load_case(table.rows[0], data())
    other = load_case(table.rows[0], data(intensity=SHARED.model_copy(update={"kind": "none"})))
    scale = case.intensity.scale
    assert scale == pytest.approx(np.percentile(other.inputs[:, 0], 99.5), rel=1e-5)
    np.testing.assert_allclose(case.inputs * scale, other.inputs, rtol=1e-5)
    assert case.clean is not None
    assert other.clean is not None
    np.testing.assert_allclose(case.clean * scale, other.clean, rtol=1e-5)


def test_without_sharing_every_input_has_its_own_scale() -> None:
    first, further = Intensity(5.0), np.full((2, 2, 2), 3.0, np.float32)
    assert fit_further(IntensityTransform(kind="mean_nonzero"), first, further).scale == 3
    assert fit_further(IntensityTransform(kind="mean_nonzero", shared=True), first, further) == first


def test_readers_see_clean_images_on_the_same_scale_and_keep_their_names(table: Pairs) -> None:
    target = Target(kind="multi_class", classes=3)
    train = table.split("train")
    shared, own = data(), data(intensity=IntensityTransform(kind="percentile"))
    recipe = Recipe()
    seen = clean_slices(train, shared, targets=_targets(target, train))
    case = load_case(train.rows[4], shared)
    assert case.clean is not None
    np.testing.assert_array_equal(seen.volumes[4].slices, case.clean)
    assert recogniser_folder(table, recipe.judge, shared, name="judge") == recogniser_folder(
        table, recipe.judge, own, name="judge"
    )


def _targets(target: Target, pairs: Pairs) -> Any:
    from taskgan.cohort.targets import Targets

    return Targets.for_table(target, pairs)


def test_one_hot_and_planes() -> None:
    known = data(conditions=("T2w", "T1w"))
    np.testing.assert_array_equal(one_hot("T1w", known), [0, 1])
    planes = with_condition_planes(np.full((2, 3, 4), 7, np.float32), one_hot("T1w", known))
    assert planes.shape == (4, 3, 4)
    assert planes.dtype == np.float32
    np.testing.assert_array_equal(planes[:, 1, 1], [7, 7, 0, 1])
    image = np.zeros((1, 2, 2), np.float32)
    assert with_condition_planes(image, one_hot("", Data())) is image
    for asked, said in (("", "no contrast is asked for"), ("STIR", "contrast 'STIR' is asked for")):
        with pytest.raises(UserError, match=f"{said}, the model knows T2w, T1w"):
            one_hot(asked, known)
    with pytest.raises(UserError, match="no condition at all"):
        one_hot("T1w", Data())


def test_planes_come_last_after_augmentation_and_neighbours(table: Pairs) -> None:
    settings = resolved(table, neighbours=1)
    slices = TrainingSlices(table.split("train"), settings)
    steps = Steps(slices, settings, batch_size=6, seed=3)
    batch = steps[0]
    assert batch.inputs.shape[1] == settings.channels == 2 * 3 + 3
    for place, index in enumerate(steps.indices(0)):
        planes = batch.inputs[place, -3:]
        assert (planes == planes[:, :1, :1]).all()  # no shift reaches them
        expected = one_hot(slices.conditions[index // 3], settings)
        np.testing.assert_array_equal(planes[:, 0, 0], expected)
    plain = settings.model_copy(update={"condition": "", "conditions": ()})
    unconditioned = Steps(TrainingSlices(table.split("train"), plain), plain, batch_size=6, seed=3)[0]
    assert torch.equal(batch.inputs[:, :-3], unconditioned.inputs)
    assert torch.equal(batch.clean, unconditioned.clean)


def test_unpaired_clean_slices_bring_their_own_condition(table: Pairs) -> None:
    settings = resolved(table, augment=Augment(flip=False, shift=0))
    slices = TrainingSlices(table.split("train"), settings)
    steps = UnpairedSteps(slices, settings, batch_size=5, seed=0)
    batch = steps[2]
    for place, drawn in enumerate(steps.indices(2)):
        index = steps._clean_index(2, place, drawn)
        told = one_hot(slices.conditions[index // 3], settings)
        np.testing.assert_array_equal(batch.clean[place, -3:, 0, 0], told)
        np.testing.assert_array_equal(batch.clean[place, 0], slices.sample(index)[1][0])


def test_rows_of_one_acquisition_hold_its_inputs_once_and_see_what_they_saw(
    table: Pairs, tmp_path: Path, make_contrasts: Callable[..., Path]
) -> None:
    settings = resolved(table)
    train = table.split("train")
    slices = TrainingSlices(train, settings)
    assert len(slices) == 3 * 3 * 3
    assert slices._inputs.shape[0] == 3 * 3  # a third
    for number, pair in enumerate(train):
        case = load_case(pair, settings)
        assert slices.scales[number] == case.intensity.scale
        for place in range(3):
            inputs, clean, label = slices.sample(3 * number + place)
            np.testing.assert_array_equal(inputs, case.inputs[place])
            assert case.clean is not None
            np.testing.assert_array_equal(clean[0], case.clean[place])
            assert label == pair.label


def test_a_known_case_lends_its_inputs_only_to_rows_of_the_same_files(table: Pairs) -> None:
    first, same, other = table.rows[0], table.rows[1], table.rows[3]
    case = load_case(first, data())
    assert load_case(same, data(), known=case).inputs is case.inputs
    assert load_case(other, data(), known=case).inputs is not case.inputs


def test_balanced_sampling_draws_contrasts_equally(table: Pairs) -> None:
    fewer = Pairs(table.source, tuple(p for p in table.split("train") if p.case != "sub-train0_PDw"))
    settings = resolved(table)
    from taskgan.cohort.targets import Targets

    slices = TrainingSlices(
        fewer, settings, targets=Targets.for_table(Target(kind="multi_class", classes=3), fewer), labels=True
    )
    steps = Steps(slices, settings, batch_size=6, seed=0)
    drawn = torch.cat([steps[step].inputs[:, -3:, 0, 0] for step in range(4)])
    assert drawn.sum(dim=0).tolist() == [8, 8, 8]


def test_condition_of_a_row_is_empty_where_there_are_none(table: Pairs) -> None:
    assert condition_of(table.rows[0], Data()) == ""
    assert condition_of(table.rows[1], resolved(table)) == "T1w"
