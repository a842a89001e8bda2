from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.pose.blazepose.person import PersonDetector
from metrics.estimates import MeanOfClips


class PersonConfidence(Protocol):
    """Says how sure a detector is that a frame shows a person.

    Attributes:
        name: stands in the metric's name.
        fingerprint: network with its weights and settings.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def fingerprint(self) -> str: ...  # noqa: D102

    def confidence(self, frames: Tensor) -> Tensor:
        """Largest confidence of any person in each of uint8 N 3 H W: N from 0 to 1, 0 where there is none."""
        ...


class BlazePoseConfidence:
    """The detector of BlazePose as a `PersonConfidence`; it is not the SSD of the published scores.

    Args:
        models: folder of the .tflite files; None takes `REELBENCH_POSE_MODELS`.
        threads: of the interpreter.
    """

    name = "blazepose"

    def __init__(self, models: str | None = None, threads: int = 1) -> None:
        self._detector = PersonDetector(models, threads)

    @property
    def fingerprint(self) -> str:
        """See `PersonConfidence`."""
        return f"blazepose detector sha256 {self._detector.digest}, score of the surest anchor"

    def confidence(self, frames: Tensor) -> Tensor:
        """See `PersonConfidence`."""
        images = frames.permute(0, 2, 3, 1).cpu().numpy()  # N H W 3
        return torch.tensor([self._detector.score(Image.fromarray(image)) for image in images])  # LiteRT takes one


class DetectionScore(MeanOfClips):
    """Detection score DS (Deformable GAN, Siarohin et al. 2018): mean confidence of a person detector.

    The largest confidence of class person in each frame, 0 where none is found, mean over frames then clips. The
    published scores are those of an SSD300 on VOC 07+12, of which class 15 above 0.01 counts; the column's name says
    whose scores these are. The note holds the value of real clips, which published tables give too (0.74 on Market).

    Args:
        detector: gives the confidence.
    """

    higher_is_better = True

    def __init__(self, detector: PersonConfidence) -> None:
        super().__init__(width=2)
        self.detector = detector
        self.name = f"ds[{detector.name}]"

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"detection score, largest confidence of a person per frame, 0 if none; {self.detector.fingerprint}"

    def describe(self, clips: Tensor, batch: VideoBatch) -> Tensor:
        """B 2: mean confidence, frames in which nobody was found at all."""
        b, _, t, height, width = clips.shape
        frames = clips.expand(-1, 3, -1, -1, -1).transpose(1, 2).reshape(b * t, 3, height, width)
        sure = self.detector.confidence(frames).double()
        if sure.shape != (b * t,) or not ((sure >= 0) & (sure <= 1)).all():
            raise BenchError(
                f"{self.name}: the detector must give {b * t} confidences from 0 to 1, one a frame; found "
                f"{tuple(sure.shape)} values, some outside or NaN"
            )
        sure = sure.reshape(b, t)
        return torch.stack([sure.mean(dim=1), (sure == 0).sum(dim=1)], dim=1)

    def note(self, rows: Tensor) -> str:
        """Counts frames in which nobody is found."""
        nobody = int(rows[:, 1].sum())
        return f"nobody is found in {nobody} frames, which count as 0" if nobody else ""
