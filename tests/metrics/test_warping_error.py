from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.dynamic_degree import DynamicDegree
from metrics.flow_estimator import ClipFlow, DisFlow
from metrics.warping_error import WarpingError
from tests.metrics.array_data import noise_clips, numbered


class Sliding:
    """The flow of clips that slide to the right by so many pixels a frame."""

    def __init__(self, *speeds: float) -> None:
        self.speeds, self.fingerprint = speeds, f"sliding {speeds}"

    def flow(self, clips: Tensor) -> ClipFlow:
        b, _, t, height, width = clips.shape
        forward = torch.zeros(b, 2, t - 1, height, width)
        forward[:, 0] = torch.tensor(self.speeds)[None, :, None, None].expand(b, t - 1, 1, 1)
        return ClipFlow(forward, -forward)


def slide(clips: Tensor, speed: int, frames: int) -> Tensor:
    """A picture B C 1 H W that moves right and wraps around."""
    return torch.cat([clips.roll(speed * t, dims=4) for t in range(frames)], dim=2)


def known(clips: Tensor, speed: float, **more: Tensor) -> VideoBatch:
    forward, backward = Sliding(*[speed] * (clips.shape[2] - 1)).flow(clips)
    batch: dict[str, Any] = {**numbered(*range(len(clips))), "flow": forward, "flow_back": backward, **more}
    return batch  # type: ignore[return-value]


@pytest.mark.parametrize("speed", [0, 1, 3])
def test_pure_translation_with_exact_flow_is_exactly_zero(speed: int) -> None:
    clips = slide(noise_clips(0, 3, 3, 1, 12, 16), speed, 4)
    metric = WarpingError()
    metric.update(clips, None, known(clips, speed))
    result = metric.result()
    assert (result.value, result.standard_error) == (0.0, 0.0)
    assert result.note == f"the flow moves {speed} pixels a frame"
    own = WarpingError(Sliding(*[speed] * 3))
    own.update(clips, None, numbered(0, 1, 2))
    assert own.result().value == 0 and own.needs == frozenset()


def test_a_flow_that_is_wrong_is_not_zero() -> None:
    clips = slide(noise_clips(0, 3, 3, 1, 12, 16), 2, 4)
    metric = WarpingError()
    metric.update(clips, None, known(clips, 0))
    expected = (clips[:, :, 1:].double() - clips[:, :, :-1]).square().mean() / 255**2
    assert metric.result().value == pytest.approx(float(expected), rel=1e-5)


def test_visible_and_occluded_by_hand() -> None:
    """Columns 4..7 are hidden by `flow_valid`; the last column leaves the frame and is compared with nothing."""
    clips = slide(noise_clips(1, 2, 3, 1, 10, 12), 1, 3)
    clips[:, :, 1:, :, 5:9] = 0  # where columns 4..7 of the frame before lead
    valid = torch.ones(2, 1, 2, 10, 12)
    valid[..., 4:8] = 0
    batch = known(clips, 1, flow_valid=valid)
    levels = clips.double() / 255
    error = (levels[:, :, :-1, :, :-1] - levels[:, :, 1:, :, 1:]).square().mean(dim=1)  # B T-1 H W-1
    hidden = torch.zeros(11, dtype=torch.bool)
    hidden[4:8] = True
    for region, columns in (("visible", ~hidden), ("occluded", hidden)):
        metric = WarpingError(occlusion="valid", region=region)  # type: ignore[arg-type]
        assert metric.needs == {"flow", "flow_valid"}
        metric.update(clips, None, batch)
        result = metric.result()
        assert result.value == pytest.approx(float(error[..., columns].mean()), rel=1e-6), region
        other = float(error[..., ~columns].mean())
        name = "occluded" if region == "visible" else "visible"
        assert f"{name}: {other:.4g} over {(~columns).sum() / 12:.1%} of the pixels" in result.note
    assert metric.name == "warping_error_occluded"


def test_pairs_and_clips_without_a_visible_pixel() -> None:
    clips = slide(noise_clips(1, 3, 3, 1, 10, 12), 1, 3)
    clips[:, :, 2] = 255 - clips[:, :, 2]
    valid = torch.ones(3, 1, 2, 10, 12)
    valid[0, :, 1], valid[2] = 0, 0
    values = {}
    for rule in ("left_out", "zero"):
        metric = WarpingError(occlusion="valid", all_occluded=rule)
        metric.update(clips, None, known(clips, 1, flow_valid=valid))
        values[rule] = metric.result()
    second = WarpingError(occlusion="valid")
    second.update(clips[1:2], None, known(clips[1:2], 1, flow_valid=valid[1:2]))
    alone = second.result().value
    assert alone is not None and alone > 0
    assert values["left_out"].value == pytest.approx(alone / 2, rel=1e-6)  # clip 0 has its first pair, of error 0
    assert values["left_out"].note.startswith(
        "1 of 3 clips have no pair of frames with a pixel to compare; 3 pairs of frames without a pixel to compare are "
    )
    assert values["zero"].value == pytest.approx(alone / 3, rel=1e-6)
    assert "3 pairs of frames without a pixel to compare count as 0" in values["zero"].note
    assert values["zero"].fingerprint != values["left_out"].fingerprint
    metric = WarpingError(occlusion="valid")
    metric.update(clips, None, known(clips, 1, flow_valid=0 * valid))
    assert metric.result().value is None and "3 of 3 clips" in metric.result().note


def test_real_clips_are_held_to_the_same_flow() -> None:
    real = slide(noise_clips(0, 2, 3, 1, 12, 16), 1, 3)
    metric = WarpingError()
    metric.update(noise_clips(4, 2, 3, 3, 12, 16), None, known(real, 1))
    metric.update(None, real, known(real, 1))
    assert metric.result().note.endswith("; real clips: 0 +- 0")
    assert metric.result().n_real == 2


def test_flow_that_does_not_fit() -> None:
    clips = noise_clips(0, 2, 3, 3, 12, 16)
    good = known(clips, 1)
    cases: tuple[tuple[VideoBatch, str], ...] = (
        ({"flow": good["flow"][:, :, :1]}, r"batch\['flow'\] is \(2, 2, 1, 12, 16\), with these clips it must be"),
        ({"flow": good["flow"].to(torch.int16)}, r"must be float, in pixels, got torch.int16"),
        ({"flow": good["flow"] * np.nan}, "the flow holds NaN or infinity"),
        ({"flow_back": good["flow_back"][:1]}, r"batch\['flow_back'\] is"),
    )
    for bad, message in cases:
        with pytest.raises(BenchError, match=message):
            WarpingError().update(clips, None, {**good, **bad})
    with pytest.raises(BenchError, match="warping_error needs flow, flow_back of its clips; the batch holds index"):
        WarpingError().update(clips, None, numbered(0, 1))
    with pytest.raises(BenchError, match="warping_error needs clips of at least 2 frames, found 1"):
        WarpingError().update(clips[:, :, :1], None, good)
    with pytest.raises(BenchError, match="goes with the data's flow"):
        WarpingError(Sliding(1), occlusion="valid")
    with pytest.raises(BenchError, match="region must be visible or occluded, found 'all'"):
        WarpingError(region="all")  # type: ignore[arg-type]


def test_dynamic_degree_counts_pairs_and_clips() -> None:
    """At 64 pixels a pair moves above 1.5 pixels; of 8 frames, round(2) pairs have to."""
    clips = torch.zeros(2, 3, 8, 64, 64, dtype=torch.uint8)
    for speeds, expected in (
        ((0, 0, 1.6, 0, 0, -1.6, 0), 1.0),
        ((0, 0, 1.6, 0, 0, 1.5, 0), 0.0),
        ((9, 0, 0, 0, 0, 0, 0), 0.0),
    ):
        metric = DynamicDegree(Sliding(*speeds))
        metric.update(clips, None, numbered(0, 1))
        result = metric.result()
        assert result.value == expected, speeds
        mean = np.abs(speeds).mean()
        assert result.note == f"the 5 % of the pixels that move most move {mean:.3g} pixels a frame"


def test_dynamic_degree_looks_at_the_top_five_percent() -> None:
    class Corner(Sliding):
        def flow(self, clips: Tensor) -> ClipFlow:
            forward = torch.zeros(len(clips), 2, clips.shape[2] - 1, 20, 20)
            forward[:, 1, :, 0, : int(self.speeds[0])] = 1.0  # 5 % of 400 pixels are 20; the threshold is 0.46875
            return ClipFlow(forward, forward)

    for moving, expected in ((9, 0.0), (10, 1.0)):
        metric = DynamicDegree(Corner(moving))
        metric.update(torch.zeros(1, 3, 4, 20, 20, dtype=torch.uint8), None, numbered(0))
        assert metric.result().value == expected
    with pytest.raises(BenchError, match="dynamic_degree needs clips of at least 3 frames, found 2"):
        DynamicDegree(Corner(1)).update(torch.zeros(1, 3, 2, 20, 20, dtype=torch.uint8), None, numbered(1))


def test_estimated_flow_of_smooth_clips() -> None:
    rows, columns = np.mgrid[:64, :64]
    picture = 128 + 60 * np.sin(columns / 5.0) * np.cos(rows / 7.0) + 40 * np.sin((rows + columns) / 11.0)
    still = torch.from_numpy(picture).round().to(torch.uint8)[None, None, None].expand(1, 3, 1, -1, -1)
    moving = slide(still, 2, 4)
    dis = DisFlow()
    forward, backward = dis.flow(moving)
    inner = (..., slice(16, 48), slice(16, 48))
    assert forward.shape == (1, 2, 3, 64, 64) and forward.dtype == torch.float32
    assert float((forward[:, 0][inner] - 2).abs().mean()) < 0.1 and float(forward[:, 1][inner].abs().mean()) < 0.1
    assert float((backward[:, 0][inner] + 2).abs().mean()) < 0.1
    metrics = WarpingError(dis), DynamicDegree(dis)
    for metric in metrics:
        metric.update(torch.cat([moving, still.expand(-1, -1, 4, -1, -1)]), None, numbered(0, 1))
    error, degree = (metric.result() for metric in metrics)
    assert error.value is not None and error.value < 1e-3
    unwarped = float((moving[:, :, 1:].double() - moving[:, :, :-1]).square().mean()) / 255**2
    assert error.value < unwarped / 20
    assert degree.value == 0.5
    assert error.fingerprint.endswith(dis.fingerprint)
    with pytest.raises(BenchError, match="least must be at least 16 pixels, found 8"):
        DisFlow(8)
