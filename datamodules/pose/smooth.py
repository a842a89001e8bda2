import warnings

import numpy as np


def median_smooth(poses: np.ndarray, window: int = 7) -> np.ndarray:
    """Sliding median of each joint over the frames where it is there, as Everybody Dance Now smooths sources.

    A joint that is missing in half of the window or more, that is where the median of all confidences is 0, stays
    missing. At the ends the window holds the frames that exist; the official code has no output there.

    Args:
        poses: T ... J 3.
        window: odd number of frames; the middle one is smoothed.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window must be an odd number of frames, found {window}")
    half = window // 2
    values = np.where(poses[..., 2:] > 0, poses, np.nan).astype(np.float64)
    beyond = np.full((half, *poses.shape[1:]), np.nan)
    padded = np.concatenate([beyond, values, beyond])
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)  # T ... J 3 W
    there = np.isfinite(windows[..., 2, :]).sum(-1)
    frames = np.arange(len(poses))
    size = np.minimum(frames, half) + np.minimum(len(poses) - 1 - frames, half) + 1
    # With confidences sorted, the median is above 0 where more than half are; of an even number, where half are.
    often = there >= (size // 2 + size % 2).reshape(-1, *[1] * (there.ndim - 1))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        median = np.nanmedian(windows, axis=-1)
    return np.where(often[..., None] & (there > 0)[..., None], median, 0).astype(poses.dtype)
