"""A training that is killed goes on from its last look, and ends with the same bits."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from taskgan.cohort.pairs import Pairs
from taskgan.judges import fit as room
from taskgan.judges.fit import autocast, fit_recogniser, has_bf16
from taskgan.judges.recogniser import Recogniser
from taskgan.judges.store import checkpoint_path, recogniser_folder, recogniser_for
from taskgan.judges.volumes import CleanSlices, RecogniserBatches
from taskgan.recipe import Augment, Data, Target
from taskgan.recipe import RecogniserSettings as Settings

Make = Callable[[str, int, int], CleanSlices]
FACES = Target(kind="embedding", labels=("subject",), size=8)
LOOK = Augment(flip=True, shift=1, rotate=5, preserve="value", contrast=0.1)


class Killed(BaseException):
    """Nobody catches it."""


@pytest.fixture
def random(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(room, "_SELDOM_S", 0.0)
    return settings.model_copy(update={"steps": 12, "validate_every": 4, "batch_size": 8, "dropout": 0.5})


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, drawn = RecogniserBatches.draw, 0

    def dying(self: RecogniserBatches) -> tuple[Tensor, Tensor]:
        nonlocal drawn
        drawn += 1
        if drawn > step:
            raise Killed
        return draw(self)

    monkeypatch.setattr(RecogniserBatches, "draw", dying)


def same_weights(one: Recogniser, two: Recogniser) -> bool:
    first, second = one.network.state_dict(), two.network.state_dict()
    return all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("kind", ["binary", "embedding"])
def test_killed_and_gone_on_with_equals_uninterrupted(
    kind: str, random: Settings, memory: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = random.model_copy(update={"augment": LOOK})
    train, val = memory("t", 4, 0), memory("v", 2, 1)
    target = None
    if kind == "embedding":
        target = FACES
        for number, volume in enumerate([*train, *val]):
            object.__setattr__(volume, "label", float(number % len(train)))
    keep = tmp_path / "under-way.ckpt"
    whole = fit_recogniser(random, train, val, title="task", target=target)
    with monkeypatch.context() as patched:
        killed_at(7, patched)
        with pytest.raises(Killed):
            fit_recogniser(random, train, val, title="task", target=target, keep=keep)
    assert keep.is_file()
    parted = fit_recogniser(random, train, val, title="task", target=target, keep=keep)
    assert same_weights(whole, parted)
    assert parted.card == whole.card


def test_it_says_where_it_goes_on_and_how_much_is_left(
    random: Settings, memory: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    train, val, keep = memory("t", 4, 0), memory("v", 2, 1), tmp_path / "under-way.ckpt"
    with monkeypatch.context() as patched:
        killed_at(9, patched)
        with pytest.raises(Killed):
            fit_recogniser(random, train, val, title="task", keep=keep)
    capfd.readouterr()
    fit_recogniser(random, train, val, title="task", keep=keep)
    shown = capfd.readouterr()
    assert f"going on with {keep} at step 8" in shown.out
    assert "train task  9/12 steps" in shown.err


def test_a_damaged_file_is_named_and_the_training_begun_anew(
    random: Settings, memory: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train, val, keep = memory("t", 4, 0), memory("v", 2, 1), tmp_path / "under-way.ckpt"
    keep.write_bytes(b"half of it")
    made = fit_recogniser(random, train, val, title="task", keep=keep)
    assert f"{keep} cannot be gone on from" in capfd.readouterr().out
    assert same_weights(made, fit_recogniser(random, train, val, title="task"))


def test_the_store_keeps_a_training_beside_its_folder_and_removes_it_when_done(
    cohort: Pairs, random: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Data(select={"dose": 1})
    folder = recogniser_folder(cohort, random, data, name="task")
    with monkeypatch.context() as patched:
        killed_at(5, patched)
        with pytest.raises(Killed):
            recogniser_for(cohort, random, data, name="task")
    assert checkpoint_path(folder).is_file()
    assert [p.name for p in folder.parent.iterdir()] == [checkpoint_path(folder).name]
    recogniser_for(cohort, random, data, name="task")
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_a_training_of_seconds_writes_nothing(settings: Settings, memory: Make, tmp_path: Path) -> None:
    fit_recogniser(
        settings.model_copy(update={"steps": 2}),
        memory("t", 4, 0),
        memory("v", 2, 1),
        title="task",
        keep=tmp_path / "under-way.ckpt",
    )
    assert not list(tmp_path.iterdir())


def test_bf16_learns_too_and_32_bits_are_the_default(random: Settings, memory: Make) -> None:
    train, val = memory("t", 4, 0), memory("v", 2, 1)
    plain, half, auto = (
        fit_recogniser(random.model_copy(update={"precision": p}), train, val, title="task")
        for p in ("32", "bf16", "auto")
    )
    assert not same_weights(plain, half)
    assert same_weights(auto, half if has_bf16(torch.device("cpu")) else plain)
    assert all(p.dtype == torch.float32 for p in half.network.parameters())
    assert abs(half.card.validation.loss - plain.card.validation.loss) < 0.2
    with autocast(Settings(), torch.device("cpu")):
        assert not torch.is_autocast_enabled("cpu")
