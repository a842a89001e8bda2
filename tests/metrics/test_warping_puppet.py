"""Warping along flow that is known exactly, of persons who move and hide what is behind them."""

from collections.abc import Mapping

import pytest
import torch

from datamodules.synthetic.puppet.data import Puppet
from metrics.base import MetricResult, VideoMetric
from metrics.protocol import ProtocolSettings
from metrics.suite import MetricSuite
from metrics.warping_error import WarpingError

CLIPS, FRAMES = 4, 6


def persons() -> Puppet:
    return Puppet(
        size=64,
        frames=FRAMES,
        video_frames=FRAMES,
        train_videos=1,
        val_videos=CLIPS,
        test_videos=1,
        identities=(2, 2, 2),
        truth=("flow", "flow_back", "flow_valid"),
    )


@pytest.fixture(scope="module")
def results() -> Mapping[str, MetricResult]:
    """Real clips in the place of generated ones, and what errs without a flow under `unwarped`."""
    data = persons()
    metrics: dict[str, VideoMetric] = {
        "warping_error": WarpingError(occlusion="valid"),
        "warping_error_occluded": WarpingError(occlusion="valid", region="occluded"),
        "warping_error_lai": WarpingError(),
    }
    suite = MetricSuite(metrics)
    suite.prepare(data, ProtocolSettings(n_real=CLIPS, n_fake=CLIPS).resolve(data))
    batch = data.eval_batch("val", range(CLIPS), FRAMES, 1, 0)
    suite.update(batch["video"], batch["video"], batch)
    levels = batch["video"].double() / 255
    unwarped = float((levels[:, :, 1:] - levels[:, :, :-1]).square().mean())
    return {**suite.results(), "unwarped": MetricResult(unwarped, None, CLIPS, CLIPS, "")}


def value(results: Mapping[str, MetricResult], column: str) -> float:
    found = results[column].value
    assert found is not None
    return found


def test_visible_pixels_agree_and_hidden_ones_do_not(results: Mapping[str, MetricResult]) -> None:
    visible, occluded = value(results, "warping_error"), value(results, "warping_error_occluded")
    assert visible < value(results, "unwarped") / 4
    assert occluded > 20 * visible
    assert f"occluded: {occluded:.4g} over" in results["warping_error"].note
    assert f"visible: {visible:.4g} over" in results["warping_error_occluded"].note


def test_the_rule_on_both_flows_hides_more_than_is_hidden(results: Mapping[str, MetricResult]) -> None:
    """It takes the seams of the limbs away too, where bilinear sampling mixes two surfaces."""
    assert 0 < value(results, "warping_error_lai") < value(results, "warping_error")
    shares = [float(results[c].note.split("over ")[1].split("%")[0]) for c in ("warping_error", "warping_error_lai")]
    assert 1 < shares[0] < shares[1] < 25


def test_against_shuffled_frames() -> None:
    """The flow of one clip says nothing of another."""
    data = persons()
    batch = data.eval_batch("val", range(CLIPS), FRAMES, 1, 0)
    suite = MetricSuite({"warping_error": WarpingError(occlusion="valid")})
    suite.prepare(data, ProtocolSettings(n_real=CLIPS, n_fake=CLIPS).resolve(data))
    order = torch.tensor([0, 2, 4, 1, 5, 3])
    suite.update(batch["video"][:, :, order], batch["video"], batch)
    result = suite.results()["warping_error"]
    reference = float(result.note.split("real clips: ")[1].split(" ")[0])
    assert result.value is not None and result.value > 3 * reference
