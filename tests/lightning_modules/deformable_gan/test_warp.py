import pytest
import torch
from torch import Tensor

from lightning_modules.deformable_gan.regions import NOWHERE, SAME, Regions, regions
from lightning_modules.deformable_gan.warp import warp
from tests.lightning_modules.deformable_gan.naive import ten_warps
from tests.lightning_modules.deformable_gan.people import person, scattered

H, W = 32, 16


def shifted(dx: float, dy: float, regions_: int = 1) -> Regions:
    """Reads (dx, dy) beside each pixel."""
    maps = torch.tensor([1.0, 0, dx, 0, 1, dy]).expand(1, regions_, 6)
    return Regions(maps, torch.ones(1, regions_, H, W, dtype=torch.bool))


def features(c: int = 3, h: int = H, w: int = W, n: int = 1) -> Tensor:
    return torch.randn(n, c, h, w, generator=torch.Generator().manual_seed(0)) + 5


@pytest.mark.parametrize("sampling", ["nearest", "bilinear"])
def test_a_shift_moves_the_features_and_leaves_zeros(sampling: str) -> None:
    x = features()
    expected = torch.zeros_like(x)
    expected[:, :, 3:, : W - 2] = x[:, :, : H - 3, 2:]
    torch.testing.assert_close(warp(x, shifted(2, -3), sampling=sampling), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("sampling", ["nearest", "bilinear"])
def test_shifts_are_divided_at_deeper_levels(sampling: str) -> None:
    x = features(h=H // 4, w=W // 4)
    expected = torch.zeros_like(x)
    expected[:, :, :, : W // 4 - 1] = x[:, :, :, 1:]
    torch.testing.assert_close(warp(x, shifted(4, 0), sampling=sampling), expected)  # type: ignore[arg-type]


def test_halves_are_rounded_away_from_zero_or_shared() -> None:
    x = features()
    up, down = warp(x, shifted(0.5, 0)), warp(x, shifted(-0.5, 0))
    assert torch.equal(up[..., :-1], x[..., 1:]) and (up[..., -1] == 0).all()
    # -0.5 goes to -1, outside; 0.5 to 1, 1.5 to 2
    assert (down[..., 0] == 0).all() and torch.equal(down[..., 1:], x[..., 1:])
    shared = warp(x, shifted(0.5, 0), sampling="bilinear")
    torch.testing.assert_close(shared[..., :-1], (x[..., 1:] + x[..., :-1]) / 2)
    torch.testing.assert_close(shared[..., -1], x[..., -1] / 2)


def test_max_and_avg_of_two_regions() -> None:
    x = features()
    maps = torch.tensor([SAME, (1.0, 0, 1, 0, 1, 0)])[None]
    masks = torch.ones(1, 2, H, W, dtype=torch.bool)
    masks[:, 1, : H // 2] = False
    masks[:, :, 0] = False
    right = torch.cat([x[..., 1:], torch.zeros_like(x[..., :1])], -1)
    lower, upper = slice(H // 2, H), slice(1, H // 2)
    for sign in (1, -1):
        largest, mean = (warp(sign * x, Regions(maps, masks), how) for how in ("max", "avg"))
        torch.testing.assert_close(largest[:, :, lower], torch.maximum(sign * x, sign * right)[:, :, lower])
        # a region without a mask there offers zero
        torch.testing.assert_close(largest[:, :, upper], (sign * x)[:, :, upper].clamp_min(0))
        torch.testing.assert_close(mean[:, :, lower], sign * (x + right)[:, :, lower] / 2)
        torch.testing.assert_close(mean[:, :, upper], sign * x[:, :, upper])
        assert (largest[:, :, 0] == 0).all() and (mean[:, :, 0] == 0).all()


def test_none_keeps_regions_apart() -> None:
    x = features(n=2)
    maps = torch.tensor([SAME, NOWHERE, (1.0, 0, 1, 0, 1, 0)]).expand(2, 3, 6)
    out = warp(x, Regions(maps, torch.ones(2, 3, H, W, dtype=torch.bool)), "none")
    same, none, right = out.split(3, 1)
    assert torch.equal(same, x) and (none == 0).all() and torch.equal(right[..., :-1], x[..., 1:])


def test_source_masks_hide_what_is_taken() -> None:
    x = features()
    masks = torch.zeros(1, 1, H, W, dtype=torch.bool)
    masks[..., 5:9] = True  # columns of the given image
    moved = Regions(shifted(2, 0).maps, masks)
    for sampling in ("nearest", "bilinear"):
        out = warp(x, moved, masks_of="source", sampling=sampling)
        assert torch.equal(out[..., 3:7], x[..., 5:9]) and (out[..., :3] == 0).all() and (out[..., 7:] == 0).all()
        own = warp(x, moved, sampling=sampling)
        assert torch.equal(own[..., 5:9], x[..., 7:11]) and (own[..., :5] == 0).all()


@pytest.mark.parametrize("level", range(4))
def test_equals_ten_warps_with_their_gradients(level: int) -> None:
    found = regions(scattered(2, 3, 0.2), scattered(2, 4, 0.2), 128, 64)
    values = torch.randn(2, 6, 128 >> level, 64 >> level, generator=torch.Generator().manual_seed(1))
    ours, naive = values.clone().requires_grad_(), values.clone().requires_grad_()
    a, b = warp(ours, found), ten_warps(naive, found)
    off = (a != b).any(1)
    assert off.float().mean() < 0.002  # halves: grid_sample rounds them to even
    weight = torch.rand(a.shape, generator=torch.Generator().manual_seed(2)) * ~off[:, None]
    # Where a feature ties with a mask's zero, both gradients are right: leave those places out.
    weight = weight * (a != 0)
    (a * weight).sum().backward()
    (b * weight).sum().backward()
    torch.testing.assert_close(ours.grad, naive.grad)


def test_both_tables_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one for GPUs holds all zeros, the one for CPUs leaves them out."""
    found = regions(scattered(2, 5), scattered(2, 6), 128, 64)
    x = torch.randn(2, 4, 64, 32, generator=torch.Generator().manual_seed(1))
    expected = [warp(x, found, how) for how in ("max", "avg")]
    monkeypatch.setattr("lightning_modules.deformable_gan.warp.SPARSE", ())
    for how, values in zip(("max", "avg"), expected, strict=True):
        torch.testing.assert_close(warp(x, found, how), values)  # type: ignore[arg-type]


def test_a_persons_own_pose_leaves_positive_features_as_they_are() -> None:
    x = torch.rand(1, 4, 128, 64, generator=torch.Generator().manual_seed(1)) + 0.1
    assert torch.equal(warp(x, regions(person()[None], person()[None], 128, 64)), x)
