"""The model folder: round trip, replacement as a whole, and what is said of a broken one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from small_models import card_of, network_of, write
from taskgan.core.errors import Failed, Problems, UserError
from taskgan.core.files import read_yaml, write_yaml
from taskgan.model import folder as model_folder
from taskgan.model.folder import build_generator, read_model, write_model
from taskgan.recipe import Data, Generator


def test_what_is_written_is_read(tmp_path: Path) -> None:
    network = network_of()
    write_model(tmp_path / "model", network.state_dict(), card_of())
    state, card = read_model(tmp_path / "model")
    assert card.model_copy(update={"checksum": ""}) == card_of()
    assert {k: v.dtype for k, v in state.items()} == {k: v.dtype for k, v in network.state_dict().items()}
    x = torch.rand(2, 1, 19, 16)
    with torch.no_grad():
        assert torch.equal(build_generator(state, card)(x), network(x))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["generator.safetensors", "model.yaml"]


def test_a_run_folder_is_its_model(tmp_path: Path) -> None:
    write(tmp_path / "run" / "model")
    assert read_model(tmp_path / "run")[1] == read_model(tmp_path / "run" / "model")[1]


def test_a_better_model_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    first = read_model(write(tmp_path / "model", seed=0))[1]
    second = read_model(write(tmp_path / "model", seed=1))[1]
    assert first.checksum != second.checksum
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]


def test_the_same_weights_have_the_same_checksum(tmp_path: Path) -> None:
    one, two = (read_model(write(tmp_path / name))[1] for name in ("a", "b"))
    assert one.checksum == two.checksum


def test_a_write_that_fails_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = read_model(write(tmp_path / "model", seed=0))[1]

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(model_folder, "write_yaml", full)
    with pytest.raises(OSError, match="no space"):
        write(tmp_path / "model", seed=1)
    assert read_model(tmp_path / "model")[1] == old
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]


def test_killed_between_the_two_moves_the_old_model_is_found(tmp_path: Path) -> None:
    old = read_model(write(tmp_path / "run" / "model", seed=0))[1]
    (tmp_path / "run" / "model").replace(tmp_path / "run" / ".model.previous")
    assert read_model(tmp_path / "run" / "model")[1] == old
    assert read_model(tmp_path / "run")[1] == old
    new = read_model(write(tmp_path / "run" / "model", seed=1))[1]
    assert new != old
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["model"]


def test_weights_that_are_not_the_cards_are_refused(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a", seed=0), write(tmp_path / "b", seed=1)
    (one / "generator.safetensors").write_bytes((two / "generator.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"generator\.safetensors has checksum .* its card expects"):
        read_model(one)


def test_folders_that_are_no_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere does not exist"):
        read_model(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no model\.yaml"):
        read_model(tmp_path)
    folder = write(tmp_path / "model")
    (folder / "generator.safetensors").unlink()
    with pytest.raises(UserError, match=r"has a model\.yaml but no generator\.safetensors"):
        read_model(folder)


def test_a_card_of_another_format_or_with_bad_values_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    values = read_yaml(folder / "model.yaml")
    write_yaml(folder / "model.yaml", values | {"format": 2})
    with pytest.raises(UserError, match="has format 2, this version of taskgan reads 1"):
        read_model(folder)
    write_yaml(folder / "model.yaml", values | {"step": -1, "colour": "red"})
    with pytest.raises(Problems, match="2 problems") as caught:
        read_model(folder)
    assert "step" in str(caught.value)
    assert "colour" in str(caught.value)


def test_weights_of_another_architecture_are_refused() -> None:
    state = network_of().state_dict()
    with pytest.raises(UserError, match=r"weights of m do not fit the architecture of its model\.yaml"):
        build_generator(state, card_of(generator=Generator(width=8, max_width=16, depth=3)), "m")
    with pytest.raises(UserError, match="do not fit"):
        build_generator(state, card_of(data=Data(neighbours=1)), "m")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda t: t.double(), UserError, "has the type torch.float64, expected torch.float32"),
        (lambda t: t[None], UserError, "has the shape"),
        (lambda t: torch.full_like(t, float("nan")), Failed, "are NaN or infinite in"),
        (lambda t: torch.full_like(t, float("inf")), Failed, "are NaN or infinite in"),
    ],
)
def test_weights_are_held_against_the_card_before_they_are_used(
    tmp_path: Path, change: Callable[[Tensor], Tensor], error: type[UserError], words: str
) -> None:
    state = network_of().state_dict()
    name = next(name for name, value in state.items() if value.is_floating_point())
    write_model(tmp_path / "model", state | {name: change(state[name])}, card_of())
    with pytest.raises(error, match=words) as caught:
        build_generator(*read_model(tmp_path / "model"))
    assert name in str(caught.value)
