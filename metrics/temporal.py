"""How steady clips are, without flow: two of VBench's measures (Huang et al. 2024) that need no text."""

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.batch import VideoBatch
from metrics.estimates import MeanOfClips
from metrics.features.base import Extractor
from metrics.identity import check_frame_level, frame_features


class TemporalFlickering(MeanOfClips):
    """VBench's temporal flickering: (255 - mean |f_t - f_{t+1}|) / 255 over neighbouring frames, pixels and channels.

    1 for a clip that stands still, 0 for one that changes between black and white. Neither end is good by itself: real
    clips lie between, and the note holds their value. VBench scores static scenes only; here all clips are.
    """

    higher_is_better = True
    min_frames = 2
    name = "temporal_flickering"
    fingerprint = "(255 - mean |f_t - f_t+1|) / 255, mean over frames then clips, uint8"

    def __init__(self) -> None:
        super().__init__(width=1)

    def describe(self, clips: Tensor, batch: VideoBatch) -> Tensor:
        """B 1."""
        levels = clips.to(torch.int16)
        change = (levels[:, :, 1:] - levels[:, :, :-1]).abs().flatten(1)
        return 1 - change.double().mean(dim=1, keepdim=True) / 255


class SubjectConsistency(MeanOfClips):
    """VBench's subject consistency: how alike the features of a clip's frames are.

    Per clip the mean over t > 0 of (max(0, cos(f_t, f_{t-1})) + max(0, cos(f_t, f_0))) / 2, then the mean over clips.
    VBench takes DINO ViT-B/16 features (and CLIP ViT-B/32 for the background); the name says whose these are. A clip
    that stands still scores 1. A clip with a frame in which the extractor finds nothing, or whose features are all 0
    and so have no angle, has no value and is counted.

    Args:
        extractor: of level `frame`.
    """

    higher_is_better = True
    min_frames = 2
    absent = "have a frame without features"

    def __init__(self, extractor: Extractor) -> None:
        super().__init__(width=1)
        self.name = f"subject_consistency[{extractor.name}]"
        check_frame_level(self.name, extractor)
        self.extractor = extractor

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return (
            "mean over t > 0 of (max(0, cos(f_t, f_t-1)) + max(0, cos(f_t, f_0))) / 2, then over clips; "
            f"{self.extractor.fingerprint}"
        )

    def describe(self, clips: Tensor, batch: VideoBatch) -> Tensor:
        """B 1."""
        features, found = frame_features(self.name, self.extractor, clips)
        there = (found & (features != 0).any(dim=2)).all(dim=1)  # B
        unit = F.normalize(features, dim=2)
        before = (unit[:, 1:] * unit[:, :-1]).sum(dim=2).clamp_min(0)  # B T-1
        first = (unit[:, 1:] * unit[:, :1]).sum(dim=2).clamp_min(0)
        value = (before + first).mean(dim=1) / 2
        return torch.where(there, value, torch.nan)[:, None]
