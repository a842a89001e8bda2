import math

import pytest
import torch
from torch import Tensor

from datamodules.pose.skeletons import COCO_18
from lightning_modules.deformable_gan.fitting import fit_affine
from lightning_modules.deformable_gan.joints import LIMBS, OUTER
from lightning_modules.deformable_gan.raster import fill_quads
from lightning_modules.deformable_gan.regions import NOWHERE, SAME, regions, whole_body, with_undeformed
from tests.lightning_modules.deformable_gan.naive import naive_regions
from tests.lightning_modules.deformable_gan.people import person, scattered

H, W = 128, 64
R_THIGH, L_THIGH, R_CALF, L_CALF = 2, 3, 4, 5


def one(given: Tensor, wanted: Tensor, **options: object) -> tuple[Tensor, Tensor]:
    found = regions(given[None], wanted[None], H, W, **options)  # type: ignore[arg-type]
    return found.maps[0], found.masks[0]


def nowhere(maps: Tensor) -> list[int]:
    return [i for i, m in enumerate(maps) if torch.equal(m, torch.tensor(NOWHERE))]


@pytest.mark.parametrize("geometry", ["code", "paper"])
def test_a_pose_and_itself_give_the_identity(geometry: str) -> None:
    maps, masks = one(person(), person(), geometry=geometry)
    torch.testing.assert_close(maps, torch.tensor(SAME).expand(10, -1), rtol=0, atol=1e-5)
    assert masks.flatten(1).any(1).all() and masks[0].all() == (geometry == "code")


@pytest.mark.parametrize("geometry", ["code", "paper"])
def test_a_shifted_pose_gives_the_shift_backwards(geometry: str) -> None:
    moved = person()
    moved[:, :2] += torch.tensor([3.0, -5.0])
    maps, _ = one(person(), moved, geometry=geometry)
    torch.testing.assert_close(maps, torch.tensor([1.0, 0, -3, 0, 1, 5]).expand(10, -1), rtol=0, atol=1e-5)
    body = whole_body(person()[None], moved[None], H, W)
    torch.testing.assert_close(body.maps[0], torch.tensor([[1.0, 0, -3, 0, 1, 5]]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_batch_equals_one_region_at_a_time(missing: float) -> None:
    given, wanted = scattered(12, 1, missing), scattered(12, 2, missing)
    ours, naive = regions(given, wanted, H, W), naive_regions(given, wanted, H, W)
    torch.testing.assert_close(ours.maps, naive.maps, rtol=1e-4, atol=1e-3)
    # A pixel's centre that lies on an edge may fall either way with the last bit of a corner.
    assert (ours.masks != naive.masks).sum() <= 2


def test_limb_missing_in_the_wanted_pose_leaves_no_mask() -> None:
    maps, masks = one(person(), person(right_knee=None))
    assert nowhere(maps) == [R_THIGH, R_CALF]
    assert not masks[[R_THIGH, R_CALF]].any() and masks[[L_THIGH, L_CALF]].flatten(1).any(1).all()


def test_limb_missing_in_the_given_pose_comes_from_its_twin() -> None:
    maps, masks = one(person(right_knee=None), person())
    assert nowhere(maps) == [] and masks[R_THIGH].any()
    # The right thigh's middle of the wanted pose is taken from the left thigh's.
    middle = [(person()[a, :2] + person()[b, :2]) / 2 for a, b in LIMBS[:2]]
    x, y = maps[R_THIGH].view(2, 3) @ torch.tensor([*middle[0].tolist(), 1.0])
    torch.testing.assert_close(torch.stack([x, y]), middle[1], rtol=0, atol=1e-3)


def test_limb_missing_on_both_sides_leads_nowhere_and_keeps_its_mask() -> None:
    maps, masks = one(person(right_knee=None, left_knee=None), person())
    assert nowhere(maps) == [R_THIGH, L_THIGH, R_CALF, L_CALF]
    assert masks[[R_THIGH, L_THIGH]].flatten(1).any(1).all()


def test_calves_reach_further_in_the_mask_than_in_the_map() -> None:
    """0.5 of the lengthened limb beyond the ankle, against 0.1 beyond the knee."""
    start, end = (torch.tensor(p) for p in ((32.0, 60.0), (32.0, 80.0)))
    for joints, ahead in ((("right_hip", "right_knee"), 0.1), (("right_knee", "right_ankle"), 0.5)):
        wanted = person(**{joints[0]: tuple(start.tolist()), joints[1]: tuple(end.tolist())})
        mask = one(person(), wanted)[1][2 + LIMBS.index((COCO_18.index(joints[0]), COCO_18.index(joints[1])))]
        rows = mask.any(1).nonzero()[:, 0]
        back = 60 - 0.1 * 20
        assert rows[0] == math.ceil(back) and rows[-1] == math.floor(80 + ahead * (80 - back))
    assert OUTER == (False, False, True, True, False, False, True, True)


def test_head_is_a_square_around_its_joints_and_empty_without() -> None:
    flat = person(right_shoulder=(22, 30), left_shoulder=(42, 30), right_hip=(22, 65), left_hip=(42, 65))
    maps, masks = one(flat, flat)
    rows, columns = masks[1].any(1).nonzero()[:, 0], masks[1].any(0).nonzero()[:, 0]
    # the torso's side is 35, so 14 either way from (32, 12); the far end is left out
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (0, 25, 18, 45)
    bald = person(**dict.fromkeys(("nose", "right_eye", "left_eye", "right_ear", "left_ear")))
    maps, masks = one(person(), bald)
    assert 1 in nowhere(maps) and not masks[1].any()
    maps, masks = one(bald, person())
    assert 1 in nowhere(maps) and masks[1].any()


@pytest.mark.parametrize("geometry", ["code", "paper"])
def test_nothing_to_measure_leads_nowhere(geometry: str) -> None:
    empty = torch.zeros(18, 3)
    for given, wanted in ((empty, person()), (person(), empty), (empty, empty), (person(left_hip=None), person())):
        maps, masks = one(given, wanted, geometry=geometry)
        assert nowhere(maps) == list(range(10))
        assert masks[0].all() == (geometry == "code") and not masks[1:].any()
    body = whole_body(empty[None], person()[None], H, W)
    assert nowhere(body.maps[0]) == [0]


def test_degenerate_torso_and_limb() -> None:
    line = person(right_shoulder=(30, 30), left_shoulder=(30, 30), right_hip=(30, 60), left_hip=(30, 60))
    assert 0 in nowhere(one(line, person())[0]) and 0 in nowhere(one(person(), line)[0])
    point = person(right_shoulder=(30, 30), left_shoulder=(30, 30), right_hip=(30, 30), left_hip=(30, 30))
    assert nowhere(one(point, person())[0]) == list(range(10))
    folded = person(right_knee=(27, 66))  # on the hip
    maps, masks = one(person(), folded)
    assert R_THIGH in nowhere(maps)
    assert masks[R_THIGH].nonzero().tolist() == [[65, 26], [66, 27], [67, 28]]
    # scikit-image leaves the middle of the flat shape out; it reads nowhere either way
    off = masks != naive_regions(person()[None], folded[None], H, W).masks[0]
    assert off.nonzero().tolist() in ([], [[R_THIGH, 66, 27]])


def test_joints_outside_the_image() -> None:
    outside = person(right_ankle=(-20, 150), left_wrist=(90, 60), nose=(32, -30))
    ours, naive = regions(person()[None], outside[None], H, W), naive_regions(person()[None], outside[None], H, W)
    assert torch.equal(ours.masks, naive.masks)
    torch.testing.assert_close(ours.maps, naive.maps, rtol=1e-4, atol=1e-3)


def test_paper_geometry_masks_the_given_pose() -> None:
    given, wanted = person(), person(right_knee=None)
    maps, masks = one(given, wanted, geometry="paper")
    assert nowhere(maps) == [R_THIGH, R_CALF] and not masks[[R_THIGH, R_CALF]].any()
    torso = masks[0].nonzero()
    assert torso.amin(0).tolist() == [30, 23] and torso.amax(0).tolist() == [66, 41]
    maps, _ = one(person(right_knee=None), person(), geometry="paper")
    assert nowhere(maps) == [R_THIGH, R_CALF]  # no twin


def test_undeformed_region_comes_first() -> None:
    found = with_undeformed(regions(person()[None], person(nose=(30, 14))[None], H, W))
    assert found.maps.shape == (1, 11, 6) and found.masks.shape == (1, 11, H, W)
    assert torch.equal(found.maps[0, 0], torch.tensor(SAME)) and found.masks[0, 0].all()


def test_fit_equals_a_singular_value_decomposition() -> None:
    """Over-determined: total least squares, not the ordinary ones."""
    draw = torch.Generator().manual_seed(0)
    start = torch.rand(50, 7, 2, generator=draw, dtype=torch.float64) * 100
    end = start @ torch.tensor([[0.8, 0.3], [-0.2, 1.1]], dtype=torch.float64) + 5
    end = end + 4 * torch.randn(end.shape, generator=draw, dtype=torch.float64)
    maps, there = fit_affine(start, end, torch.ones(50, 7, dtype=torch.bool))
    assert there.all()
    for s, e, found in zip(start, end, maps, strict=True):
        p, q = (_normaliser(x) for x in (s, e))
        hs, he = (torch.cat([x, torch.ones(7, 1).double()], 1) @ t.T for x, t in ((s, p), (e, q)))
        zero = torch.zeros_like(hs)
        system = torch.cat([torch.cat([hs, zero, he[:, :1]], 1), torch.cat([zero, hs, he[:, 1:2]], 1)])
        vector = torch.linalg.svd(system)[2][-1]
        matrix = torch.eye(3, dtype=torch.float64)
        matrix[:2] = (-vector[:6] / vector[6]).view(2, 3)
        expected = torch.linalg.inv(q) @ matrix @ p
        torch.testing.assert_close(found, expected[:2].flatten(), rtol=1e-9, atol=1e-9)
        ordinary = torch.linalg.lstsq(torch.cat([s, torch.ones(7, 1).double()], 1), e).solution.T
        assert (found - ordinary.flatten()).abs().max() > 1e-4


def _normaliser(points: Tensor) -> Tensor:
    mean = points.mean(0)
    scale = math.sqrt(2) / (points - mean).square().sum(1).mean().sqrt()
    matrix = torch.diag(torch.stack([scale, scale, torch.ones_like(scale)]))
    matrix[:2, 2] = -scale * mean
    return matrix


def test_fit_of_three_points_is_exact_and_of_two_there_is_none() -> None:
    start = torch.tensor([[[0.0, 0], [4, 0], [0, 2], [9, 9]]], dtype=torch.float64)
    end = torch.tensor([[[1.0, 1], [1, 9], [5, 1], [-7, 3]]], dtype=torch.float64)
    maps, there = fit_affine(start, end, torch.tensor([[True, True, True, False]]))
    assert there.all()
    torch.testing.assert_close(maps, torch.tensor([[0.0, 2, 1, 2, 0, 1]]).double(), rtol=0, atol=1e-12)
    assert not fit_affine(start, end, torch.tensor([[True, True, False, False]]))[1].any()


def test_fill_covers_edges_and_thin_shapes() -> None:
    box = torch.tensor([[2.0, 1], [5, 1], [5, 3], [2, 3]], dtype=torch.float64)
    thin = torch.tensor([[1.0, 2.4], [6, 2.4], [6, 2.6], [1, 2.6]], dtype=torch.float64)  # between two rows
    slope = torch.tensor([[0.0, 0], [4, 4], [4, 4.5], [0, 0.5]], dtype=torch.float64)
    out = torch.empty(4, 1, 8, 8, dtype=torch.bool)
    fill_quads(torch.stack([box, thin, slope, box.flip(0)])[:, None], torch.ones(4, 1, dtype=torch.bool), out)
    out = out[:, 0]
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[1:4, 2:6] = True
    assert torch.equal(out[0], expected) and torch.equal(out[3], expected)
    assert not out[1].any() and torch.equal(out[2].nonzero(), torch.arange(5)[:, None].expand(-1, 2))
    fill_quads(box[None, None], torch.zeros(1, 1, dtype=torch.bool), out[:1, None])
    assert not out[0].any()
