from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from datamodules.errors import BenchError
from datamodules.pose.normalise import Stance, fit, stance
from datamodules.pose.skeletons import BODY_23, BODY_25
from datamodules.pose.smooth import median_smooth


def dancer(toe: np.ndarray, height: np.ndarray, x: float = 300) -> np.ndarray:
    """T 25 3: ankles at `toe`, the nose `height` above them, everything else between."""
    poses = np.full((len(toe), 25, 3), 0.9, np.float32)
    poses[..., 0] = x
    poses[..., 1] = (toe - height / 2)[:, None]
    for name in ("right_ankle", "left_ankle"):
        poses[:, BODY_25.index(name), 1] = toe
    poses[:, BODY_25.index("nose"), 1] = toe - height
    return poses


SOURCE_TOE = np.linspace(600, 800, 41)
SOURCE = dancer(SOURCE_TOE, 0.4 * SOURCE_TOE)
TARGET_TOE = np.linspace(500, 700, 41)
TARGET = dancer(TARGET_TOE, 0.6 * TARGET_TOE)


def test_stands_and_heights() -> None:
    map_ = fit(TARGET, SOURCE, BODY_25, far_share=1.0)
    # The farthest lies less than (nearest - median) = 100 above the median: the second frame.
    assert (map_.source, map_.target) == ((800, 605), (700, 505)) and not map_.shrunk
    assert map_.scale_near == pytest.approx(0.6 * 700 / (0.4 * 800), rel=1e-6)
    # Heights grow downwards; within 5 % of 195 pixels below y = 605 is 610, and 510 of the target.
    assert map_.scale_far == pytest.approx(0.6 * 510 / (0.4 * 610), rel=1e-6)


def test_near_and_far_are_mapped_onto_the_target() -> None:
    map_ = fit(TARGET, SOURCE, BODY_25)
    shift, scale = map_.shift_and_scale(np.array([*map_.source]))
    np.testing.assert_allclose(np.array(map_.source) + shift, map_.target)
    np.testing.assert_allclose(scale, [map_.scale_near, map_.scale_far])


def test_a_source_like_its_target_is_left_alone() -> None:
    map_ = fit(SOURCE, SOURCE, BODY_25)
    normalised, usable = map_.apply(SOURCE, BODY_25, 640)
    np.testing.assert_allclose(normalised, SOURCE, rtol=1e-6)
    assert usable.all()


def test_bodies_keep_their_feet_on_the_targets_ground() -> None:
    map_ = fit(TARGET, SOURCE, BODY_25)
    normalised, _ = map_.apply(SOURCE[:1], BODY_25, 640)
    shift, scale = map_.shift_and_scale(SOURCE_TOE[:1])
    after = stance(normalised, BODY_25)
    assert after.toe[0] == pytest.approx(600 + shift[0], rel=1e-6)
    assert after.height[0] == pytest.approx(scale[0] * 240, rel=1e-6)
    np.testing.assert_allclose(normalised[0, :, 0], scale[0] * (300 - 320) + 320, rtol=1e-6)


def test_a_source_that_moves_less_shrinks_the_targets_range() -> None:
    small = dancer(np.linspace(690, 710, 41), np.full(41, 100.0))
    map_ = fit(TARGET, small, BODY_25)
    assert map_.shrunk
    assert map_.target[0] - map_.target[1] == pytest.approx(map_.source[0] - map_.source[1])
    wide = fit(TARGET, SOURCE, BODY_25).target
    assert sum(map_.target) == pytest.approx(sum(wide))


def test_frames_that_cannot_be_measured_move_like_the_one_before() -> None:
    map_ = fit(TARGET, SOURCE, BODY_25)
    gaps = SOURCE.copy()
    gaps[[0, 5], BODY_25.index("right_ankle")] = 0
    normalised, usable = map_.apply(gaps, BODY_25, 640)
    assert np.flatnonzero(~usable).tolist() == [0, 5]
    shift, scale = map_.shift_and_scale(SOURCE_TOE[[1, 4]])  # the first has no frame before it
    neck = gaps[[0, 5], BODY_25.index("neck"), 1]
    pivot = SOURCE_TOE[1]
    expected = scale * (neck - pivot) + pivot + shift
    np.testing.assert_allclose(normalised[[0, 5], BODY_25.index("neck"), 1], expected, rtol=1e-6)
    assert not normalised[[0, 5], BODY_25.index("right_ankle")].any()


def test_the_left_ear_stands_for_the_left_ankle_in_the_official_rule() -> None:
    poses = SOURCE[:3].copy()
    poses[0, BODY_25.index("left_ear")] = 0
    poses[1, BODY_25.index("left_ankle")] = 0
    assert stance(poses, BODY_25).usable.tolist() == [False, True, True]
    assert stance(poses, BODY_25, "mended").usable.tolist() == [True, False, True]


def test_ears_stand_in_for_the_nose() -> None:
    poses = SOURCE[:2].copy()
    poses[:, BODY_25.index("nose")] = 0
    measured: Stance = stance(poses, BODY_25)
    assert measured.usable.all()
    np.testing.assert_allclose(measured.height, 0.2 * SOURCE_TOE[:2], rtol=1e-6)
    poses[0, BODY_25.index("right_ear")] = 0
    assert stance(poses, BODY_25).usable.tolist() == [False, True]


def test_the_official_rule_takes_the_first_height_of_a_stand() -> None:
    """The tallest frame is the second one at its y; only the mended rule sees it."""
    toe = np.append(TARGET_TOE, TARGET_TOE[20])
    target = dancer(toe, np.append(0.6 * TARGET_TOE, 900.0))
    near = {rule: fit(target, SOURCE, BODY_25, rule=rule).scale_near for rule in ("official", "mended")}
    assert near["official"] == pytest.approx(0.6 * 700 / 320, rel=1e-6)
    assert near["mended"] == pytest.approx(900 / 320, rel=1e-6)


def test_what_cannot_be_fitted_is_said() -> None:
    with pytest.raises(BenchError, match="none of the target's 41 frames shows head and ankles"):
        fit(0 * TARGET, SOURCE, BODY_25)
    with pytest.raises(BenchError, match="keeps its y gives no near and far stand"):
        fit(TARGET, np.repeat(SOURCE[:1], 9, 0), BODY_25)
    with pytest.raises(BenchError, match="none of the source's frames"):
        fit(TARGET, SOURCE, BODY_25).apply(0 * SOURCE, BODY_25, 640)


def test_official_numbers(parity: Path) -> None:
    file = load_file(parity / "edn_pose_normalisation.safetensors")
    target, source = (file[f"input/{name}"].reshape(-1, 23, 3) for name in ("target", "source"))
    map_, measured = fit(target, source, BODY_23), stance(source, BODY_23)
    np.testing.assert_allclose([map_.scale_near, map_.scale_far], file["output/scale_close_far"], atol=1e-6)
    np.testing.assert_allclose([map_.target, map_.source], file["output/translation"], atol=1e-4)
    assert map_.shrunk == bool(file["output/small_range"])
    np.testing.assert_allclose(
        np.stack(map_.shift_and_scale(measured.toe), -1), file["output/per_frame_dy_scale"], atol=1e-4
    )
    height, _, toe = file["output/pose_stats_source_frame0"]
    np.testing.assert_allclose([measured.height[0], measured.toe[0]], [height, toe], atol=1e-4)
    normalised, _ = map_.apply(source, BODY_23, 1920)
    official = file["output/normalised_source"].reshape(-1, 23, 3)
    np.testing.assert_allclose(normalised, official, atol=1e-3)  # float32 poses of up to 1300 pixels
    smooth = median_smooth(official, 7)[3]
    np.testing.assert_allclose(smooth.reshape(-1), file["output/median_window7_first"], atol=1e-9)


@pytest.mark.parametrize(("tallest", "taken"), [(1.05, 420.0), (1.2, 504.0)])
def test_a_slightly_taller_body_elsewhere_does_not_count(tallest: float, taken: float) -> None:
    """At the nearest stand the target is 420 tall; in the middle once 5 % or 20 % taller than that."""
    heights = 0.6 * TARGET_TOE
    heights[20] = tallest * 420
    assert fit(dancer(TARGET_TOE, heights), SOURCE, BODY_25).scale_near == pytest.approx(taken / 320, rel=1e-6)
