"""Turning and moving images against rot90 and roll, and what is drawn for whom."""

import pytest
import torch

from tuner.errors import SpecError
from tuner.training.augmentation import moved, rotate_and_shift

NOWHERE = torch.zeros(2, 2)


def images(*shape, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 7, 5), (2, 1, 1, 9)])
def test_nothing_moves_by_zero(shape):
    before = images(*shape)
    torch.testing.assert_close(moved(before, torch.zeros(2), NOWHERE), before, atol=2e-6, rtol=0)
    state = torch.get_rng_state()
    assert rotate_and_shift(before, 0.0, 0.0) is before
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize("quarters", [-1, 1, 2])
def test_right_angles_are_rot90(side, quarters):
    before = images(2, 3, side, side)
    after = moved(before, torch.full((2,), 90.0 * quarters), NOWHERE)
    torch.testing.assert_close(after, before.rot90(quarters, (2, 3)), atol=1e-5, rtol=0)


def test_half_a_turn_of_an_oblong_is_a_flip_of_both_sides():
    before = images(2, 6, 11)
    torch.testing.assert_close(moved(before, torch.full((2,), 180.0), NOWHERE), before.flip(1, 2), atol=1e-5, rtol=0)


def test_a_turn_of_an_oblong_does_not_shear():
    """A bar of 5 pixels across, turned by 90 degrees, is one of 5 pixels down."""
    before = torch.zeros(1, 9, 21)
    before[0, 4, 8:13] = 1
    expected = torch.zeros(1, 9, 21)
    expected[0, 2:7, 10] = 1
    torch.testing.assert_close(moved(before, torch.tensor([90.0]), NOWHERE[:, :1]), expected, atol=1e-5, rtol=0)


def test_a_shift_is_roll_in_the_middle_and_the_border_outside():
    before = images(2, 1, 10, 20)
    after = moved(before, torch.zeros(2), torch.tensor([[0.2, -0.1], [0.1, 0.25]]))
    torch.testing.assert_close(after[0, 0, 2:, 2:], before[0, 0].roll((2, 2), (0, 1))[2:, 2:], atol=1e-5, rtol=0)
    torch.testing.assert_close(after[1, 0, :-1, 5:], before[1, 0].roll((-1, 5), (0, 1))[:-1, 5:], atol=1e-5, rtol=0)
    torch.testing.assert_close(after[0, 0, :2, 2:], before[0, 0, 0, :-2].expand(2, -1), atol=1e-5, rtol=0)


def test_half_a_pixel_is_the_mean_of_two():
    before = images(1, 4, 4)
    after = moved(before, torch.zeros(1), torch.tensor([[0.0], [0.125]]))
    torch.testing.assert_close(after[0, :, 1:], (before[0, :, 1:] + before[0, :, :-1]) / 2, atol=1e-5, rtol=0)


def test_each_image_has_its_own_draw_and_its_channels_share_it():
    before = images(1, 1, 12, 12).expand(6, 2, 12, 12)
    after = rotate_and_shift(before, 30.0, 0.1)
    assert all(not torch.allclose(after[i], after[j], atol=1e-3) for i in range(6) for j in range(i))
    assert torch.equal(after[:, 0], after[:, 1])


def test_draws_follow_the_generator_and_stay_within_their_bounds():
    ramp = torch.arange(40.0).expand(300, 40, 40)
    torch.manual_seed(1)
    after = rotate_and_shift(ramp, 0.0, 0.1)
    torch.manual_seed(1)
    assert torch.equal(rotate_and_shift(ramp, 0.0, 0.1), after)
    moves = after[:, 20, 20] - 20
    assert moves.abs().max() <= 4 + 1e-4
    assert moves.min() < -3.5
    assert moves.max() > 3.5
    turned = rotate_and_shift(ramp, 20.0, 0.0)
    slopes = turned[:, 20, 21] - turned[:, 20, 20]  # the ramp's slope across is the cosine of the angle
    assert slopes.min() >= torch.cos(torch.deg2rad(torch.tensor(20.0))) - 1e-4
    assert slopes.min() < torch.cos(torch.deg2rad(torch.tensor(18.0)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_type_stays(dtype):
    before = images(2, 1, 6, 6, dtype=dtype)
    after = rotate_and_shift(before, 10.0, 0.1)
    assert (after.dtype, after.shape) == (before.dtype, before.shape)
    exact = moved(before, torch.zeros(2), NOWHERE)
    torch.testing.assert_close(exact, before, atol=1e-2 if dtype != torch.float64 else 1e-5, rtol=0)


@pytest.mark.parametrize(
    ("wrong", "degrees", "path"), [(torch.rand(4, 784), 5.0, "rotate"), (torch.ones(4, 3, 3).byte(), 0.0, "shift")]
)
def test_what_is_no_image(wrong, degrees, path):
    with pytest.raises(SpecError, match=r"shape \(4, ") as error:
        rotate_and_shift(wrong, degrees, 0.1)
    assert error.value.path == path


@pytest.mark.skipif(not torch.cuda.is_available(), reason="takes a GPU")
def test_a_recorded_step_draws_anew_and_never_waits():
    before = images(8, 1, 12, 12).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        rotate_and_shift(before, 20.0, 0.1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        after = rotate_and_shift(before, 20.0, 0.1)
    graph.replay()
    first = after.clone()
    graph.replay()
    assert not torch.allclose(first, after, atol=1e-3)
