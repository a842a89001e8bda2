import math
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.stream import keyed_rng
from metrics.features.base import Extractor


class RandomFeatures(Extractor):
    """A small convolutional network with random weights: needs no download, and is comparable with nothing published.

    It tells distributions apart roughly, is the same on every machine, and serves tests and runs at cpu scale. Three
    3x3x3 convolutions (3x3 at frame level) of stride 2 with ReLU, no bias, then the mean over all positions. Frames
    enter at their own resolution. At frame level each frame is seen alone, so the order of frames moves nothing.

    Args:
        level: `clip` or `frame`.
        seed: of the weights.
        num_features: d.
    """

    name = "random"
    preprocessing = "x/127.5-1 at native resolution"

    def __init__(self, level: Literal["clip", "frame"] = "clip", seed: int = 0, num_features: int = 128) -> None:
        super().__init__()
        if level not in ("clip", "frame"):
            raise BenchError(f"RandomFeatures: level must be clip or frame, found {level!r}")
        if num_features < 1:
            raise BenchError(f"RandomFeatures: num_features must be at least 1, found {num_features}")
        self.level, self.num_features = level, num_features
        self.min_frames = 2 if level == "clip" else 1
        self.time = 3 if level == "clip" else 1  # kernel size over frames
        widths = (3, 32, 64, num_features)
        for layer, (inputs, outputs) in enumerate(pairwise(widths)):
            shape = (outputs, inputs, self.time, 3, 3)
            self.register_buffer(f"weight{layer}", _he_uniform(shape, level, seed, layer))
        self.freeze()

    def features(self, clips: Tensor) -> Tensor:
        """See `Extractor.features`."""
        x = clips.float() / 127.5 - 1  # B 3 T H W
        stride, padding = (self.time // 2 + 1, 2, 2), (self.time // 2, 1, 1)
        for layer in range(3):
            x = F.relu(F.conv3d(x, self.get_buffer(f"weight{layer}"), stride=stride, padding=padding))
        if self.level == "clip":
            return x.mean(dim=(2, 3, 4))  # B d
        return x.mean(dim=(3, 4)).transpose(1, 2)  # B T d


def _he_uniform(shape: tuple[int, ...], *key: int | str) -> Tensor:
    """Uniform in +-sqrt(6 / fan_in), from raw Philox words: only integer and IEEE arithmetic, so equal bit for bit."""
    words = keyed_rng("random features", *key).bit_generator.random_raw(math.prod(shape))
    unit = (words >> np.uint64(11)) * 2.0**-53  # [0, 1)
    bound = math.sqrt(6 / math.prod(shape[1:]))
    return torch.from_numpy(((2 * unit - 1) * bound).astype(np.float32)).reshape(shape)
