import torch
from torch import Tensor

from datamodules.pose.estimator import PoseEstimator
from metrics.keypoints import joint_pairs, matched
from metrics.pose_metric import PoseMetric, Target


class AverageKeypointDistance(PoseMetric):
    """AKD (First Order Motion Model, Siarohin et al. 2019): mean |dx| over both coordinates of the key-points, pixels.

    Mean over the key-points that both sides have, then over poses. Key-points of the target that are missing are
    counted apart, in the note (the paper's missing key-point rate).

    Args:
        estimator: finds the poses.
        target: see `PoseMetric`; the paper finds them in the real clip.
    """

    higher_is_better = False
    title = "akd"

    def __init__(self, estimator: PoseEstimator, target: Target = "estimate") -> None:
        super().__init__(estimator, target, width=5)

    @property
    def rule(self) -> str:
        """See `PoseMetric`."""
        return "mean |dx| over coordinates and common key-points, then over poses, pixels"

    def score(self, found: Tensor, target: Tensor) -> Tensor:
        """B 5: sum of distances, poses, key-points missing, key-points of the target, frames without a person."""
        pairs = joint_pairs(matched(found, target), target)
        common = pairs.both.sum(dim=-1)  # B T P
        distance = pairs.offset.abs().sum(dim=(-1, -2)) / (2 * common.clamp_min(1))
        person = pairs.wanted.any(dim=-1)
        numbers = (
            distance.sum(dim=(1, 2)),
            (common > 0).sum(dim=(1, 2)),
            (pairs.wanted & ~pairs.both).sum(dim=(1, 2, 3)),
            pairs.wanted.sum(dim=(1, 2, 3)),
            (~person.any(dim=2)).sum(dim=1),
        )
        return torch.stack([n.double() for n in numbers], dim=1)

    def note(self, rows: Tensor) -> str:
        """The missing key-point rate."""
        _, _, missing, wanted, empty = (int(n) for n in rows.sum(dim=0))
        said = f"{missing} of {wanted} key-points missing"
        said += f" ({missing / wanted:.2%})" if wanted else ""
        return said + (f"; {empty} frames without a person in the target" if empty else "")
