from pathlib import Path
from typing import Literal

from torch import Tensor

from datamodules.errors import BenchError
from metrics.features.inception_network import CLASSES, POOLED, InceptionNetwork
from metrics.features.published import PublishedExtractor, by_frame
from metrics.features.resize import Rule, check_rule, resize

SIDE = 299


class Inception(PublishedExtractor):
    """Inception of 2015-12-05 on single frames, by which FID, KID and the Inception Score are defined.

    Heusel et al. 2017, Salimans et al. 2016. Published packages prepare frames differently, which moves FID:

    - TTUR, torch-fidelity: `resize="tf1", scaling="tf"`, the default
    - pytorch-fid: `resize="half_pixel", scaling="symmetric"`
    - torchmetrics 1.8 and later: `resize="antialias", scaling="tf"`; with `antialias=False` as torch-fidelity

    A Frechet distance is called `fid` only with the defaults and the published weights.

    Args:
        path: a file in the layout of pt_inception-2015-12-05; None takes the published one, `inception`.
        output: `features`, the 2048 means over the last layer's positions; `probabilities`, the softmax over 1,008
            logits without bias, for the Inception Score.
        resize: rule by which frames are brought to 299x299, whatever their aspect.
        scaling: `tf`, (x-128)/128, or `symmetric`, x/127.5-1.

    Raises:
        BenchError: an unknown option, or `path` does not hold these weights.
    """

    name = "inception"
    level = "frame"
    weights = "inception"

    def __init__(
        self,
        path: Path | None = None,
        output: Literal["features", "probabilities"] = "features",
        resize: Rule = "tf1",
        scaling: Literal["tf", "symmetric"] = "tf",
    ) -> None:
        super().__init__()
        check_rule("inception", resize)
        if output not in ("features", "probabilities"):
            raise BenchError(f"inception: output must be features or probabilities, found {output!r}")
        if scaling not in ("tf", "symmetric"):
            raise BenchError(f"inception: scaling must be tf or symmetric, found {scaling!r}")
        self.output, self.scaling = output, scaling
        self.resize: Rule = resize
        self.num_features = POOLED if output == "features" else CLASSES
        formula = "(x-128)/128" if scaling == "tf" else "x/127.5-1"
        given = "pool features" if output == "features" else "softmax of logits without bias"
        self.preprocessing = f"{resize} bilinear to 299x299, {formula}, {given}"
        as_published = (path, output, resize, scaling) == (None, "features", "tf1", "tf")
        self.distance_name = "fid" if as_published else None
        self.adopt(InceptionNetwork, path)

    def features(self, clips: Tensor) -> Tensor:
        """See `Extractor.features`."""
        return by_frame(clips, self._describe)

    def _describe(self, frames: Tensor) -> Tensor:
        assert isinstance(self.network, InceptionNetwork)
        pooled: Tensor = self.network(self.preprocess(frames))
        return pooled if self.output == "features" else self.network.logits_unbiased(pooled).softmax(dim=1)

    def preprocess(self, frames: Tensor) -> Tensor:
        """Float N 3 H W in 0..255 -> N 3 299 299."""
        frames = resize(frames, (SIDE, SIDE), self.resize)
        return (frames - 128) / 128 if self.scaling == "tf" else frames / 127.5 - 1
