import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskgan.cohort.pairs import Pairs
from taskgan.core.artefact import verify
from taskgan.core.errors import UserError
from taskgan.judges import store as room
from taskgan.judges.recogniser import Recogniser
from taskgan.judges.store import recogniser_folder, recogniser_for
from taskgan.recipe import Augment, Data
from taskgan.recipe import RecogniserSettings as Settings

DATA = Data(select={"dose": 1})


@pytest.fixture
def quick(settings: Settings) -> Settings:
    return settings.model_copy(update={"steps": 2})


def _refuse(*_: object, **__: object) -> Recogniser:
    raise AssertionError("trained again")


def test_trained_once_then_shared(cohort: Pairs, quick: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first = recogniser_for(cohort, quick, DATA, name="task")
    assert verify(cohort.folder / "derivatives") == (1, [])
    kept = list((cohort.folder / "derivatives" / "recognisers").iterdir())
    assert [k.name for k in kept] == [recogniser_folder(cohort, quick, DATA, name="task").name]
    assert kept[0].name.startswith("task-")
    monkeypatch.setattr(room, "fit_recogniser", _refuse)
    again = recogniser_for(cohort, quick, DATA, name="task")
    slices = np.random.default_rng(0).random((3, 24, 24), dtype=np.float32)
    assert np.array_equal(first.read(slices), again.read(slices))
    assert first.card == again.card


def test_training_subjects_teach_validation_subjects_stop_test_files_are_not_opened(
    cohort: Pairs, quick: Settings
) -> None:
    for pair in cohort.split("test"):
        pair.degraded.write_bytes(b"not an image")
        assert pair.clean is not None
        pair.clean.unlink(missing_ok=True)
    card = recogniser_for(cohort, quick, DATA, name="task").card
    assert card.training_subjects == ("s0", "s1", "s2", "s3", "s4", "s5")
    assert card.validation_subjects == ("s6", "s7")


def test_the_folder_changes_with_what_decides_the_weights_and_only_with_that(cohort: Pairs, quick: Settings) -> None:
    def place(settings: Settings = quick, data: Data = DATA, pairs: Pairs = cohort) -> Path:
        return recogniser_folder(pairs, settings, data, name="task")

    assert place() == place()
    assert place(data=DATA.model_copy(update={"workers": 4, "augment": Augment(shift=0)})) == place()
    without_test = Pairs(cohort.source, tuple(p for p in cohort if p.split != "test"))
    assert place(pairs=without_test) == place()
    different = [
        place(quick.model_copy(update={"seed": 5})),
        place(data=Data(select={"dose": 5})),
        place(data=DATA.model_copy(update={"min_signal": 0.2})),
        place(pairs=Pairs(cohort.source, cohort.rows[2:])),
        place(pairs=Pairs(cohort.source, (replace(cohort.rows[0], label=1.0), *cohort.rows[1:]))),
    ]
    clean = cohort.rows[0].clean
    assert clean is not None
    before = place()
    os.utime(clean, ns=(1, 1))
    different.append(place())
    assert len({before, *different}) == len(different) + 1


def test_a_store_of_ones_own_leaves_the_cohort_untouched(
    cohort: Pairs, quick: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = tmp_path_factory.mktemp("store")
    before = sorted(cohort.folder.rglob("*"))
    recogniser_for(cohort, quick, DATA, name="judge", store=store)
    assert sorted(cohort.folder.rglob("*")) == before
    assert len(list(store.iterdir())) == 1


def test_who_comes_second_takes_what_the_first_put_there(
    cohort: Pairs, quick: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = room.fit_recogniser

    def overtaken(settings: Settings, *rest: object, title: str, **more: object) -> Recogniser:
        """While this one trains, another process finishes with weights of its own."""
        monkeypatch.setattr(room, "fit_recogniser", fit)
        other = fit(settings.model_copy(update={"seed": 99}), *rest, title=title)  # type: ignore[arg-type]
        other.save(recogniser_folder(cohort, settings, DATA, name="task"))
        return fit(settings, *rest, title=title)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "fit_recogniser", overtaken)
    assert recogniser_for(cohort, quick, DATA, name="task").card.settings.seed == 99
    left = [p.name for p in (cohort.folder / "derivatives" / "recognisers").iterdir()]
    assert len(left) == 1


def test_a_missing_split_is_named(cohort: Pairs, quick: Settings) -> None:
    with pytest.raises(UserError, match="no clean image with split 'val'"):
        recogniser_for(cohort.split("train"), quick, DATA, name="task")


def test_a_store_that_cannot_be_written_is_named(cohort: Pairs, quick: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        recogniser_for(cohort, quick, DATA, name="task", store=tmp_path / "file" / "store")


def test_settings_that_came_later_do_not_rename_what_was_kept_before(
    cohort: Pairs, quick: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    name = room.value_digest
    monkeypatch.setattr(room, "value_digest", lambda values: told.append(values) or name(values))
    recogniser_folder(cohort, quick, DATA, name="task")
    kept = {"network", "width", "norm", "loss", "steps", "batch_size", "lr", "weight_decay", "dropout"}
    kept |= {"validate_every", "patience", "seed", "augment"}
    assert set(told[0]["settings"]) == kept
    assert set(told[0]["settings"]["augment"]) == {"flip", "shift", "rotate", "zoom"}
    for key, value in {"precision": "bf16", "reduce": 2, "standardise": True, "sampling": "images"}.items():
        recogniser_folder(cohort, quick.model_copy(update={key: value}), DATA, name="task")
        assert told[-1]["settings"][key] == value
    other = quick.model_copy(update={"augment": quick.augment.model_copy(update={"blur": 1.0})})
    recogniser_folder(cohort, other, DATA, name="task")
    assert told[-1]["settings"]["augment"]["blur"] == 1.0
