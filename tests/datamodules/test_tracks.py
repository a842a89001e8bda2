import numpy as np
import pytest
import torch

from datamodules.batch import to_float
from datamodules.errors import BenchError
from datamodules.tracks import in_batch, pack_flow, per_frame

B, T, H, W = 2, 5, 3, 4


def numbered(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape)


def test_a_batch_has_the_channel_before_time() -> None:
    pose = numbered(B, T, 2, 18, 3)
    assert in_batch("pose", pose)[1, 1, 4, 17, 2] == pose[1, 4, 1, 17, 2]
    condition = numbered(B, T, 3, H, W)
    assert in_batch("condition", condition)[1, 2, 3, 1, 0] == condition[1, 3, 2, 1, 0]
    mask = numbered(B, T, H, W)
    assert in_batch("mask", mask).shape == (B, 1, T, H, W)
    for key in ("labels", "instances", "face_box"):
        assert in_batch(key, mask) is mask


def test_what_runs_between_frames_stands_at_the_first() -> None:
    flow, valid = numbered(B, T, 2, H, W), numbered(B, T, H, W)
    assert in_batch("flow", flow).shape == (B, 2, T - 1, H, W)
    assert in_batch("flow_back", flow)[1, 1, 3, 0, 0] == flow[1, 3, 1, 0, 0]
    assert in_batch("flow_valid", valid).shape == (B, 1, T - 1, H, W)


@pytest.mark.parametrize(
    ("key", "shape"),
    [("pose", (2, 18, 3)), ("condition", (3, H, W)), ("mask", (H, W)), ("labels", (H, W)), ("face_box", (4,))],
)
def test_per_frame_inverts_the_batch_s_layout(key: str, shape: tuple[int, ...]) -> None:
    values = numbered(B, T, *shape)
    assert np.array_equal(per_frame(key, in_batch(key, values)), values)


@pytest.mark.parametrize(("key", "shape"), [("flow", (2, H, W)), ("flow_back_valid", (H, W))])
def test_per_frame_ends_in_zeros_where_nothing_follows(key: str, shape: tuple[int, ...]) -> None:
    values = numbered(B, T, *shape)
    back = per_frame(key, in_batch(key, values))
    assert np.array_equal(back[:, :-1], values[:, :-1]) and not back[:, -1].any() and back.dtype == values.dtype


def test_flow_comes_back_to_a_64th_of_a_pixel() -> None:
    flow = np.random.default_rng(0).uniform(-900, 900, (2, 2, 3, 4, 4)).astype(np.float32)
    back = to_float({"flow": torch.from_numpy(pack_flow(flow))})["flow"].numpy()
    assert np.abs(back - flow).max() <= 1 / 64
    assert pack_flow(np.array([2000.0, -2000.0])).tolist() == [32767, -32767]
    with pytest.raises(BenchError, match="NaN or infinite"):
        pack_flow(np.array([np.nan]))
