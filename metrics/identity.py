"""Whether a clip shows one person, and the right one, by the features of an extractor that sees single frames."""

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.content import Pairs, check_pairs, pairwise_distance
from metrics.estimates import MeanOfClips
from metrics.features.base import Extractor


def frame_features(metric: str, extractor: Extractor, clips: Tensor) -> tuple[Tensor, Tensor]:
    """Features B T d float64, and B T bool: whether the extractor found its object in the frame.

    An extractor that finds nothing, such as no face, says so by a vector of NaN.

    Raises:
        BenchError: features of another kind that are not finite.
    """
    features = extractor(clips).double()
    found = ~features.isnan().all(dim=2)
    if not features[found].isfinite().all():
        raise BenchError(f"{metric}: {extractor.name} features hold NaN or infinity beside numbers")
    return features, found


def check_frame_level(metric: str, extractor: Extractor) -> None:
    """Raises `BenchError` for an extractor that sees whole clips."""
    if extractor.level != "frame":
        raise BenchError(f"{metric} needs an extractor of level frame, {extractor.name} has level {extractor.level}")


class AverageIdentityDistance(MeanOfClips):
    """ACD on identity (ACD-I; MoCoGAN, Tulyakov et al. 2018, section 4): how much a face changes within a clip.

    Per clip the mean over pairs of frames of the L2 distance between the frames' features, then the mean over clips.
    The paper takes OpenFace embeddings; the name says whose features these are. A clip that never changes scores 0, so
    lower is not better below the value of real clips, which the note holds. Frames in which the extractor finds nothing
    (NaN) are left out; they, and clips without a pair of others, are counted in the note.

    Args:
        extractor: of level `frame`.
        pairs: `all` pairs of frames, as in the paper, or `consecutive` ones.
    """

    higher_is_better = False
    min_frames = 2
    absent = "have no two frames in which the extractor finds anything"

    def __init__(self, extractor: Extractor, pairs: Pairs = "all") -> None:
        super().__init__(width=2)
        self.name = f"acd_identity[{extractor.name}]"
        check_frame_level(self.name, extractor)
        check_pairs(self.name, pairs)
        self.extractor, self.pairs = extractor, pairs

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"acd, {self.pairs} frame pairs, L2; {self.extractor.fingerprint}"

    def describe(self, clips: Tensor, batch: VideoBatch) -> Tensor:
        """B 2: distance, number of frames in which nothing was found."""
        features, found = frame_features(self.name, self.extractor, clips)
        return torch.stack(pairwise_distance(features, found, self.pairs), dim=1)

    def note(self, rows: Tensor) -> str:
        """Counts clips and frames that are missing."""
        frames = int(rows[:, 1].sum())
        said = f"{self.extractor.name} finds nothing in {frames} frames" if frames else ""
        return "; ".join(filter(None, (super().note(rows), said)))


class AverageEmbeddingDistance(MeanOfClips):
    """AED (First Order Motion Model, Siarohin et al. 2019): whether generated frames keep the identity of real ones.

    The mean over frames, then clips, of the distance between the features of a generated frame and of its real one. The
    released code averages the squared L2 distance, and so does this by default. Frames in which the extractor finds
    nothing on either side are left out and counted.

    Args:
        extractor: of level `frame`.
        squared: False takes the L2 distance itself.
    """

    higher_is_better = False
    absent = "have no frame in which the extractor finds anything on both sides"

    def __init__(self, extractor: Extractor, squared: bool = True) -> None:
        super().__init__(width=2, paired=True)
        self.name = f"aed[{extractor.name}]"
        check_frame_level(self.name, extractor)
        self.extractor, self.squared = extractor, squared

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"aed, {'squared ' if self.squared else ''}L2, mean over frames then clips; {self.extractor.fingerprint}"

    def compare(self, fake: Tensor, real: Tensor, batch: VideoBatch) -> Tensor:
        """B 2: distance, number of frames left out."""
        (ours, found), (theirs, there) = (frame_features(self.name, self.extractor, c) for c in (fake, real))
        distance = (ours - theirs).square().sum(dim=2)  # B T
        distance = distance if self.squared else distance.sqrt()
        both = found & there
        mean = torch.where(both, distance, 0).sum(dim=1) / both.sum(dim=1)  # NaN where there is none
        return torch.stack([mean, (~both).sum(dim=1)], dim=1)

    def note(self, rows: Tensor) -> str:
        """Counts clips and frames that are left out."""
        frames = int(rows[:, 1].sum())
        said = f"{self.extractor.name} finds nothing in {frames} pairs of frames" if frames else ""
        return "; ".join(filter(None, (super().note(rows), said)))
