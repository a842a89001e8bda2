from typing import TYPE_CHECKING

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.class_probabilities import check_classifier
from metrics.estimates import MeanOfClips
from metrics.features.base import Extractor

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol


class MotionControlScore(MeanOfClips):
    """MCS (MoCoGAN, Tulyakov et al. 2018, table 4): share of generated clips that show the category asked for.

    A clip shows the category that a classifier of real clips finds most likely. What was asked for is what
    `Method.requested` says; a method that is asked for nothing has no score. The note holds the classifier's accuracy
    on the real clips, by their labels: no method can be expected above it. VideoVAE's and TwoStreamVAN's accuracy is
    the same number.

    Args:
        classifier: of level `clip`; its `num_features` outputs are the categories in the data's order.
        attribute: key of `attributes` and of `requested`, such as `category`.
    """

    higher_is_better = True
    needs = frozenset({"attributes", "requested"})

    def __init__(self, classifier: Extractor, attribute: str = "category") -> None:
        super().__init__(width=1)
        self.name = f"mcs[{classifier.name}]"
        check_classifier(self.name, classifier)
        self.classifier, self.attribute = classifier, attribute
        self.absent = f"were not asked for a {attribute}"

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"share of clips with argmax = requested {self.attribute}; {self.classifier.fingerprint}"

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Refuses data without labels of this attribute before anything is sampled."""
        super().prepare(data, protocol)
        known = data.store(protocol.split).attributes
        if self.attribute not in known:
            given = ", ".join(sorted(known)) or "none"
            raise BenchError(f"{self.name} needs the attribute {self.attribute}; {data.name} gives {given}")

    def update(self, fake: Tensor | None, real: Tensor | None, batch: VideoBatch | None) -> None:
        """See `InformedMetric.update`; generated clips are held against the request, real ones against their labels."""
        for kind, clips, key in (("fake", fake, "requested"), ("real", real, "attributes")):
            if clips is None:
                continue
            index = self._checked(kind, clips, batch)
            if len(clips):
                wanted = dict(self._informed(clips, batch)).get(key, {})
                assert isinstance(wanted, dict)
                self.put(kind, index, self._hits(clips, wanted.get(self.attribute)))

    def _hits(self, clips: Tensor, wanted: Tensor | None) -> Tensor:
        """B 1: 1 where the classifier finds what was wanted, 0 where not, NaN where nothing was wanted."""
        if wanted is None:
            return torch.full((len(clips), 1), torch.nan, device=clips.device)
        classes = self.classifier.num_features
        if wanted.shape != (len(clips),) or (wanted < 0).any() or (wanted >= classes).any():
            raise BenchError(
                f"{self.name}: {self.attribute} must be {len(clips)} numbers in 0..{classes - 1}, the classes of "
                f"{self.classifier.name}; found {tuple(wanted.shape)} from {int(wanted.min())} to {int(wanted.max())}"
            )
        scores = self.classifier(clips)
        if not scores.isfinite().all():
            raise BenchError(f"{self.name}: {self.classifier.name} gives NaN or infinity for some clips")
        return (scores.argmax(dim=1) == wanted.to(scores.device)).float()[:, None]
