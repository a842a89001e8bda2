import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from metrics.estimates import MeanOfClips
from metrics.flow_estimator import FlowEstimator

TOP = 0.05  # share of the pixels that move most, which VBench looks at


class DynamicDegree(MeanOfClips):
    """VBench's dynamic degree (Huang et al. 2024): share of clips that move.

    A pair of frames moves if the mean length of the 5 % longest flow vectors exceeds 6 min(H, W) / 256 pixels; a clip
    moves if at least round(4 T / 16) of its pairs do. VBench takes RAFT's flow at 8 frames a second; here the flow is
    the estimator's and the frame rate the protocol's. The note holds the mean length itself.

    Args:
        flow: finds the flow in each clip.
    """

    higher_is_better = None  # the aim is to match real clips
    min_frames = 3  # of two frames, round(4 * 2 / 16) = 0 pairs would have to move
    name = "dynamic_degree"

    def __init__(self, flow: FlowEstimator) -> None:
        super().__init__(width=2)
        self.flow = flow

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return (
            "dynamic degree, mean of the top 5 % flow lengths > 6 min(H, W) / 256 in at least round(4 T / 16) pairs; "
            f"flow by {self.flow.fingerprint}"
        )

    def describe(self, clips: Tensor, batch: VideoBatch) -> Tensor:
        """B 2: 1 if the clip moves, mean over pairs of the mean length of the longest vectors."""
        frames, height, width = clips.shape[2:]
        length = self.flow.flow(clips).forward.double().square().sum(dim=1).sqrt().flatten(2)  # B T-1 H*W
        longest = length.topk(max(1, int(TOP * height * width)), dim=2).values.mean(dim=2)  # B T-1
        moving = (longest > 6 * min(height, width) / 256).sum(dim=1)
        return torch.stack([(moving >= round(4 * frames / 16)).double(), longest.mean(dim=1)], dim=1)

    def note(self, rows: Tensor) -> str:
        """The motion in pixels."""
        return f"the 5 % of the pixels that move most move {float(rows[:, 1].mean()):.3g} pixels a frame"
