import numpy as np
import pytest

from datamodules.pose.smooth import median_smooth


def plain(poses: np.ndarray, window: int) -> np.ndarray:
    """Frame by frame and joint by joint: the median of the joints that are there, unless the median of all is not."""
    out = np.zeros_like(poses)
    for t in range(len(poses)):
        around = poses[max(0, t - window // 2) : t + window // 2 + 1]
        for joint in range(poses.shape[1]):
            there = around[around[:, joint, 2] > 0, joint]
            if np.median(around[:, joint, 2]) > 0:
                out[t, joint] = np.median(there, axis=0)
    return out


@pytest.mark.parametrize("window", [1, 3, 7])
def test_median_of_what_is_there(window: int) -> None:
    rng = np.random.default_rng(0)
    poses = rng.uniform(1, 100, (20, 9, 3))
    poses *= rng.random((20, 9, 1)) > 0.4
    np.testing.assert_array_equal(median_smooth(poses, window), plain(poses, window))


def test_axes_type_and_window() -> None:
    poses = np.random.default_rng(1).uniform(1, 9, (5, 2, 4, 3)).astype(np.float32)
    smooth = median_smooth(poses, 3)
    assert smooth.dtype == np.float32
    np.testing.assert_array_equal(smooth[:, 1], median_smooth(poses[:, 1], 3))
    with pytest.raises(ValueError, match="odd number of frames, found 4"):
        median_smooth(poses, 4)
