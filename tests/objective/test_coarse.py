"""Eq. 1 over the means of windows."""

import pytest
import torch

from taskgan.objective.total import coarse_loss, pixel_loss


def test_an_offset_costs_itself_at_every_scale_and_in_volumes() -> None:
    offset = torch.tensor([0.5, -1.0, 2.0])
    for shape in ((3, 1, 12, 20), (3, 1, 5, 12, 20)):  # no multiple of the windows, fewer slices than their edge
        clean = torch.randn(shape)
        moved = clean + offset.view(-1, *[1] * (len(shape) - 1))
        torch.testing.assert_close(coarse_loss(moved, clean, (4, 8)), offset.abs())


def test_a_checkerboard_costs_nothing_and_stripes_what_their_windows_say() -> None:
    rows = torch.arange(16)
    board = ((rows[:, None] + rows) % 2 * 2.0 - 1)[None, None]
    zero = torch.zeros_like(board)
    assert pixel_loss(board, zero).item() == 1
    assert coarse_loss(board, zero, (2, 4)).item() == 0
    stripes = ((rows // 4) % 2 * 2.0 - 1)[None, None, :, None].expand(1, 1, 16, 16)
    assert coarse_loss(stripes, zero, (4,)).item() == 1
    assert coarse_loss(stripes, zero, (8,)).item() == 0
    assert coarse_loss(stripes, zero, (4, 8)).item() == 0.5


def test_a_window_of_a_volume_goes_through_its_slices_too() -> None:
    slices = torch.tensor([1.0, -1.0, 1.0, -1.0]).view(1, 1, 4, 1, 1).expand(1, 1, 4, 8, 8)
    assert coarse_loss(slices, torch.zeros(1, 1, 4, 8, 8), (4,)).item() == 0
    flat = slices.movedim(2, 1).flatten(0, 1)
    assert coarse_loss(flat, torch.zeros(4, 1, 8, 8), (4,)).tolist() == [1, 1, 1, 1]


def test_a_window_that_is_cut_off_is_the_mean_of_what_is_there() -> None:
    image = torch.tensor([2.0, 4.0, 9.0]).view(1, 1, 3, 1)
    assert coarse_loss(image, torch.zeros(1, 1, 3, 1), (2,)).item() == pytest.approx((3 + 9) / 2)
    assert coarse_loss(image, torch.zeros(1, 1, 3, 1), (64,)).item() == pytest.approx(5)


def test_it_is_never_more_than_eq_1_where_windows_fit_and_noise_costs_less_the_coarser() -> None:
    clean, noise = torch.zeros(4, 1, 32, 32), torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    costs = [float(coarse_loss(noise, clean, (k,)).mean()) for k in (1, 2, 4, 8)]
    assert costs[0] == pytest.approx(float(pixel_loss(noise, clean).mean()))
    for k, cost in zip((1, 2, 4, 8), costs, strict=True):  # the mean of k² pixels has a k-th of their SD
        assert cost == pytest.approx(costs[0] / k, rel=0.15)


def test_shapes_that_differ_and_no_window_are_refused() -> None:
    with pytest.raises(ValueError, match="edges"):
        coarse_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 4), (4,))
    with pytest.raises(ValueError, match="0 edges"):
        coarse_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), ())
