from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.features.base import Extractor, weights_digest
from metrics.features.i3d_files import read
from metrics.features.i3d_network import CLASSES, I3DNetwork
from metrics.features.resize import Rule, check_rule, resize
from metrics.weights import CATALOGUE, locate

SIDE = 224
_FRAMES_AT_ONCE = 256  # the first layer holds 1.6 MB of activations a frame


class I3D(Extractor):
    """I3D trained on Kinetics-400: the 400 logits before the softmax, averaged over time, by which FVD is defined.

    Unterthiner et al. 2018, as TensorFlow Hub's i3d-kinetics-400/1 computes them; the defaults reproduce published
    TensorFlow numbers to 1e-3. Other papers' ports differ in the options below and their numbers by per cents: a
    Frechet distance is called `fvd` only with the defaults and the published weights, `frechet[i3d]` otherwise.

    Args:
        path: a file of weights in flax, VideoGPT/piergiaj or hassony2 naming; None takes the weights `i3d` that
            `reelbench weights fetch i3d` stores.
        bn_eps: of batch normalisation. 1e-3 stands in the published graph; VideoGPT's port and its copies (DIGAN,
            TATS, cd-fvd) use 1e-5.
        resize: `tf1` as published; `half_pixel` as the torch ports; `antialias`.
        crop: `squash` brings frames to 224x224 whatever their aspect, as published; `center` brings the short side to
            224 and cuts out the middle, as VideoGPT.

    Raises:
        BenchError: an unknown option, or `path` is no file of I3D weights.
    """

    name = "i3d"
    level = "clip"
    num_features = CLASSES
    min_frames = 9  # the last pooling covers 2 x 7 x 7 of T/8 x 7 x 7

    def __init__(
        self,
        path: Path | None = None,
        bn_eps: float = 1e-3,
        resize: Rule = "tf1",
        crop: Literal["squash", "center"] = "squash",
    ) -> None:
        super().__init__()
        check_rule("i3d", resize)
        if crop not in ("squash", "center"):
            raise BenchError(f"i3d: crop must be squash or center, found {crop!r}")
        if not 0 < bn_eps < 1:
            raise BenchError(f"i3d: bn_eps must lie in (0, 1), found {bn_eps}")
        self.resize: Rule = resize
        self.crop = crop
        self.preprocessing = (
            f"x/127.5-1, {resize} bilinear to 224x224 ({crop}), batch norm eps {bn_eps:g}, logits, mean over time"
        )
        with torch.device("meta"):
            self.network = I3DNetwork(bn_eps)
        self.network.to_empty(device="cpu")  # `load` fills it
        published = CATALOGUE["i3d"].values_digest
        self.values_digest = published
        if path is not None:
            self._read(path)
            self.values_digest = weights_digest(self.network)
        as_published = (self.values_digest, bn_eps, resize, crop) == (published, 1e-3, "tf1", "squash")
        self.distance_name = "fvd" if as_published else None
        self.freeze()

    @property
    def weights_identity(self) -> str:
        """By the values, so that the same weights are the same in whatever file they came."""
        return f"values sha256 {str(self.values_digest)[:12]}"

    def load(self) -> None:
        """See `Extractor.load`."""
        self._read(locate("i3d"))

    def _read(self, path: Path) -> None:
        self.network.load_state_dict(read(path))
        self._loaded = True

    def features(self, clips: Tensor) -> Tensor:
        """See `Extractor.features`."""
        at_once = max(1, _FRAMES_AT_ONCE // clips.shape[2])
        return torch.cat([self.network(self.preprocess(part)) for part in clips.split(at_once)])

    def preprocess(self, clips: Tensor) -> Tensor:
        """uint8 B 3 T H W -> B 3 T 224 224 in [-1, 1]."""
        frames = clips.transpose(1, 2).flatten(0, 1).float()  # BT 3 H W
        height, width = frames.shape[2:]
        if self.crop == "center":
            short = min(height, width)
            size = (-(-height * SIDE // short), -(-width * SIDE // short))
        else:
            size = (SIDE, SIDE)
        frames = resize(frames, size, self.resize)
        top, left = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
        frames = frames[:, :, top : top + SIDE, left : left + SIDE] / 127.5 - 1
        return frames.unflatten(0, (len(clips), clips.shape[2])).transpose(1, 2)
