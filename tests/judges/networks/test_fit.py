from collections.abc import Callable

import numpy as np
import pytest
import torch

from taskgan.core.errors import UserError
from taskgan.judges.fit import fit_recogniser, improves, validate
from taskgan.judges.recogniser import RecogniserMetrics
from taskgan.judges.volumes import CleanSlices
from taskgan.objective.kinds import task_kind
from taskgan.recipe import RecogniserSettings as Settings
from taskgan.recipe import Target

Make = Callable[[str, int, int], CleanSlices]


@pytest.mark.parametrize("network", ["convnet", "resnet10"])
@pytest.mark.parametrize("loss", ["squared", "proper"])
def test_it_learns_to_read_subjects_it_never_saw(network: str, loss: str, settings: Settings, memory: Make) -> None:
    settings = settings.model_copy(update={"network": network, "loss": loss})
    reader = fit_recogniser(settings, memory("t", 8, 0), memory("v", 4, 1), title="task")
    found = validate(reader.network, task_kind(Target(), "squared"), memory("x", 8, 2))
    assert found.volume_error == 0
    assert found.slice_mae < 0.25
    assert found.auc == 1.0


def test_the_seed_decides_the_weights_and_torchs_generator_is_left_alone(settings: Settings, memory: Make) -> None:
    settings = settings.model_copy(update={"steps": 6, "dropout": 0.5})
    train, val = memory("t", 4, 0), memory("v", 2, 1)
    weights = []
    for draw, seed in enumerate([0, 0, 1]):
        torch.manual_seed(draw)
        before = torch.random.get_rng_state()
        reader = fit_recogniser(
            settings.model_copy(update={"seed": seed}), train, val, title="task"
        ).network.state_dict()
        assert torch.equal(torch.random.get_rng_state(), before)
        weights.append(torch.cat([v.flatten().double() for v in reader.values()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_card_says_what_was_learnt_from_and_how_well_it_reads(settings: Settings, memory: Make) -> None:
    val = memory("v", 2, 1)
    reader = fit_recogniser(settings, memory("t", 4, 0), val, title="judge")
    assert reader.card.title == "judge"
    assert reader.card.training_subjects == ("t0", "t1", "t2", "t3")
    assert reader.card.validation_subjects == ("v0", "v1")
    assert reader.card.settings == settings
    assert reader.card.validation == validate(reader.network, task_kind(Target(), settings.loss), val)
    assert not reader.network.training


def test_it_stops_when_validation_no_longer_improves_and_keeps_the_best_look(
    settings: Settings, memory: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    # Validation labels are turned round: whatever is learnt makes them worse, so the first look is the best.
    turned = memory("v", 2, 1)
    for volume in turned:
        object.__setattr__(volume, "label", 1 - volume.label)
    impatient = settings.model_copy(update={"steps": 2000, "validate_every": 10, "patience": 3, "lr": 1e-2})
    reader = fit_recogniser(impatient, memory("t", 6, 0), turned, title="task")
    assert reader.card.step <= 40
    assert "2000/2000" not in capfd.readouterr().err


def test_one_label_and_shared_subjects_are_refused(settings: Settings, memory: Make) -> None:
    train = memory("t", 4, 0)
    with pytest.raises(UserError, match="all have label 0, expected 0 and 1"):
        fit_recogniser(settings, CleanSlices(train.volumes[:1]), memory("v", 2, 1), title="task")
    with pytest.raises(UserError, match="t0 is in both"):
        fit_recogniser(settings, train, CleanSlices(train.volumes[:1]), title="task")


def test_progress_and_a_result_line_are_shown(
    settings: Settings, memory: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    fit_recogniser(settings, memory("t", 4, 0), memory("v", 2, 1), title="task")
    shown = capfd.readouterr()
    assert "train task  60/60 steps" in shown.err
    assert "train task: convnet of step" in shown.out
    assert "of 2 volumes" in shown.out


def test_reading_leaves_the_network_in_its_mode(settings: Settings, memory: Make) -> None:
    settings = settings.model_copy(update={"steps": 1})
    reader = fit_recogniser(settings, memory("t", 4, 0), memory("v", 2, 1), title="task")
    slices = memory("x", 1, 2).volumes[0].slices
    reader.network.train()
    first = reader.read(slices)
    assert reader.network.training
    assert np.array_equal(first, reader.read(slices))


def test_a_look_is_better_by_its_loss_and_of_an_embedding_by_its_auc() -> None:
    def look(loss: float, auc: float | None) -> RecogniserMetrics:
        return RecogniserMetrics(
            volumes=9, slice_mae=0.5, volume_error=0.5, balanced_accuracy=0.5, auc=auc, loss=loss, outputs={}
        )

    untaught, taught = look(6.24, 0.5), look(9.44, 0.7)  # of LFW's people after 0 and 165 steps
    binary, faces = (
        task_kind(target, "proper") for target in (Target(), Target(kind="embedding", labels=("subject",)))
    )
    assert improves(taught, untaught, faces)
    assert not improves(untaught, taught, faces)
    assert improves(untaught, taught, binary)
    assert improves(look(1.0, 0.7), look(2.0, 0.7), faces)
    assert improves(look(1.0, None), look(2.0, None), faces)  # nobody has two images
    assert not improves(taught, taught, faces)
