from typing import Literal

import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.bank import DescribingMetric, mean_and_error
from metrics.base import MetricResult


def mean_colours(clips: Tensor, threshold: int) -> tuple[Tensor, Tensor]:
    """Mean colour of each frame's object: the pixels whose largest channel exceeds `threshold`.

    Args:
        clips: uint8 B C T H W.

    Returns:
        B T C float64 (zeros where a frame has no such pixel), and B T bool: whether it has one.
    """
    inside = clips.amax(dim=1, keepdim=True) > threshold  # B 1 T H W
    count = inside.sum(dim=(3, 4))  # B 1 T
    total = (clips * inside).sum(dim=(3, 4), dtype=torch.float64)  # B C T
    return (total / count.clamp_min(1)).transpose(1, 2), count[:, 0] > 0


Pairs = Literal["all", "consecutive"]


def pairwise_distance(features: Tensor, valid: Tensor, which: Pairs = "all") -> tuple[Tensor, Tensor]:
    """Mean L2 distance over pairs of valid frames.

    Args:
        features: B T d; those of frames that are not valid may be anything.
        valid: B T bool.
        which: `all` pairs, or `consecutive` frames only.

    Returns:
        B float64, NaN where no pair is valid; and B, how many frames are not.
    """
    features = torch.where(valid[..., None], features.double(), 0)
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")  # B T T
    pairs = (valid[:, :, None] & valid[:, None, :]).triu(diagonal=1)
    if which == "consecutive":
        pairs = pairs.tril(diagonal=1)
    mean = (distances * pairs).sum(dim=(1, 2)) / pairs.sum(dim=(1, 2))
    return mean, (~valid).sum(dim=1)


def check_pairs(metric: str, pairs: str) -> None:
    """Raises `BenchError` unless `pairs` is one of `Pairs`."""
    if pairs not in ("all", "consecutive"):
        raise BenchError(f"{metric}: pairs must be all or consecutive, found {pairs!r}")


class AverageContentDistance(DescribingMetric):
    """ACD on colour (MoCoGAN, Tulyakov et al. 2018, section 4): how much an object changes colour within a clip.

    Per clip the mean over pairs of frames of the L2 distance between the frames' mean object colours (0-255, RGB;
    grey counts as three equal channels), then the mean over clips. The object is every pixel whose largest channel
    exceeds `threshold`; the paper gives no threshold. A clip that never changes scores 0, also one that shows nothing
    sensible: read it with diversity, and against the value of real clips. Frames without an object are missing, and so
    is a clip without a pair of others; both are counted in the note.

    Args:
        threshold: 0-254, exclusive.
        pairs: `all` pairs of frames, as in the paper, or `consecutive` ones, which a slow drift does not add up in.
    """

    higher_is_better = False
    uses_real = False
    name = "acd_color"

    def __init__(self, threshold: int = 32, pairs: Pairs = "all") -> None:
        super().__init__(fake=2)
        if not 0 <= threshold <= 254:
            raise BenchError(f"acd_color: threshold must lie in 0..254, found {threshold}")
        check_pairs(self.name, pairs)
        self.threshold, self.pairs = threshold, pairs

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"acd, mean RGB of pixels with largest channel > {self.threshold}, {self.pairs} frame pairs, L2, 0-255"

    def describe(self, clips: Tensor) -> Tensor:
        """B 2: distance (NaN: missing), number of missing frames."""
        colours, valid = mean_colours(clips.expand(-1, 3, -1, -1, -1), self.threshold)
        return torch.stack(pairwise_distance(colours, valid, self.pairs), dim=1)

    def measure(self) -> MetricResult:
        """See `VideoMetric.result`; no value where all clips are missing."""
        fake = self.rows("fake")
        distances, missing_frames = fake.values.unbind(dim=1)
        found = ~distances.isnan()
        value, error = mean_and_error(distances[found]) if found.any() else (None, None)
        missing = fake.clips - int(found.sum())
        frames = int(missing_frames.sum())
        note = f"missing: {missing} of {fake.clips} clips, {frames} frames without a pixel above {self.threshold}"
        return MetricResult(value, error, 0, fake.clips, self.fingerprint, note if frames or value is None else "")
