from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.errors import BenchError
from metrics.features.published import PublishedExtractor
from metrics.features.state_dict import read_npz
from metrics.weights import identity, locate

FRAMES, SIDE, CLASSES = 16, 112, 101
MEAN_SHAPE = (3, FRAMES, 128, 171)  # of the clips that C3D was trained on, before they were cropped
Preparation = Literal["tgan2", "tgan"]
# Rows and columns of the mean that are taken off: TGANv2's of the mean as it is; TGAN's of its middle 128 columns.
_CROPS: Mapping[Preparation, tuple[slice, slice]] = {
    "tgan2": (slice(8, 120), slice(8, 120)),
    "tgan": (slice(8, 120), slice(29, 141)),
}
_PREPARED: Mapping[Preparation, str] = {
    "tgan2": "align-corners bilinear to 112x112, blue first, mean taken off at [8:120, 8:120]",
    "tgan": "bicubic to 128x128, blue first, mean taken off at [:, 21:149], cropped to [8:120, 8:120]",
}
# Convolutions between two poolings.
STAGES: tuple[tuple[str, ...], ...] = (("1a",), ("2a",), ("3a", "3b"), ("4a", "4b"), ("5a", "5b"))
_CLIPS_AT_ONCE = 8


class C3DNetwork(nn.Module):
    """C3D (Tran et al. 2015) with 101 outputs: eight 3x3x3 convolutions, five poolings, three linear layers.

    Args:
        width: channels of the first convolution.
        hidden: of the two linear layers before the last.
    """

    def __init__(self, width: int = 64, hidden: int = 4096) -> None:
        super().__init__()
        inputs = 3
        for number, stage in enumerate(STAGES):
            for name in stage:
                channels = width * min(2**number, 8)
                self.add_module(f"conv{name}", nn.Conv3d(inputs, channels, 3, padding=1))
                inputs = channels
        for number, sizes in enumerate(pairwise((inputs * 4 * 4, hidden, hidden, CLASSES)), start=6):
            self.add_module(f"fc{number}", nn.Linear(*sizes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: N 3 16 112 112, blue first, 0..255 less the mean.

        Returns:
            N 101.
        """
        for number, stage in enumerate(STAGES):
            for name in stage:
                x = F.relu(self.get_submodule(f"conv{name}")(x))
            window = (2 if number else 1, 2, 2)
            x = F.max_pool3d(x, window, ceil_mode=True)  # the last goes from 7 to 4: its outer windows are cut off
        x = x.flatten(1)  # N 8192
        x = F.relu(self.get_submodule("fc7")(F.relu(self.get_submodule("fc6")(x))))
        return self.get_submodule("fc8")(x)


class C3D(PublishedExtractor):
    """C3D fine-tuned on UCF-101: class probabilities of 16-frame clips, for the Inception Score of video.

    Saito et al. 2017 (TGAN), 2020 (TGANv2), whose weights and preparation these are.

    Args:
        path: weights in chainer's naming (`conv1a/W` to `fc8/b`, .npz); None takes the published ones, `c3d_ucf101`.
        mean: .npz with the one array 3 16 128 171 that is taken off, blue first; given if `path` is.
        preparation: of the frames: `tgan2` brings them straight to 112x112, `tgan` to 128x128 by OpenCV's bicubic rule
            and cuts out the middle.

    Raises:
        BenchError: an unknown preparation, one of `path` and `mean` without the other, or files that do not hold what
            they should.
    """

    name = "c3d"
    level = "clip"
    num_features = CLASSES
    min_frames = FRAMES
    weights = "c3d_ucf101"

    def __init__(self, path: Path | None = None, mean: Path | None = None, preparation: Preparation = "tgan2") -> None:
        super().__init__()
        if preparation not in _CROPS:
            raise BenchError(f"c3d: preparation must be {' or '.join(_CROPS)}, found {preparation!r}")
        self.preparation: Preparation = preparation
        self.preprocessing = f"x*128/127.5, {_PREPARED[preparation]}, 16 frames, softmax over 101 classes"
        if (path is None) != (mean is None):
            raise BenchError(f"c3d: path and mean go together, found path = {path} and mean = {mean}")
        self.mean_path = mean
        self.register_buffer("mean", torch.zeros(3, FRAMES, SIDE, SIDE))
        self.adopt(C3DNetwork, path)

    @property
    def weights_identity(self) -> str:
        """Of both files."""
        own = super().weights_identity
        return own if self._given else f"{own}, mean {identity('c3d_ucf101_mean')}"

    def read(self, path: Path) -> None:
        """Fills network and mean."""
        mean = read_mean(self.mean_path or locate("c3d_ucf101_mean"), self.preparation)
        super().read(path)
        self.get_buffer("mean").copy_(mean)

    def contents(self, path: Path) -> Mapping[str, Tensor]:
        """Chainer's `conv1a/W` and `conv1a/b` are `conv1a.weight` and `conv1a.bias`, in the same order of axes."""
        leaves = {"W": "weight", "b": "bias"}
        renamed = {}
        for key, value in read_npz(path).items():
            unit, _, leaf = key.partition("/")
            renamed[f"{unit}.{leaves[leaf]}" if leaf in leaves else key] = value
        return renamed

    def features(self, clips: Tensor) -> Tensor:
        """See `Extractor.features`."""
        if clips.shape[2] != FRAMES:
            raise BenchError(f"c3d takes clips of exactly {FRAMES} frames, found {clips.shape[2]}")
        parts = clips.split(_CLIPS_AT_ONCE)
        return torch.cat([self.network(self.preprocess(part)).softmax(dim=1) for part in parts])

    def preprocess(self, clips: Tensor) -> Tensor:
        """uint8 B 3 16 H W -> B 3 16 112 112, blue first.

        Both codes scale from [-1, 1] by 128, which makes 255 into 256. TGANv2's looks at i (n_in - 1) / (n_out - 1).
        """
        frames = clips.flip(1).transpose(1, 2).flatten(0, 1).float() * (128 / 127.5)  # BT 3 H W
        if self.preparation == "tgan2":
            frames = F.interpolate(frames, (SIDE, SIDE), mode="bilinear", align_corners=True)
        else:  # OpenCV and torch have the same cubic, a = -0.75 at half-pixel places
            frames = F.interpolate(frames, (128, 128), mode="bicubic", align_corners=False)[..., 8:120, 8:120]
        return frames.unflatten(0, (len(clips), FRAMES)).transpose(1, 2) - self.get_buffer("mean")


def read_mean(path: Path, preparation: Preparation = "tgan2") -> Tensor:
    """The mean clip's part that is taken off, 3 16 112 112.

    Raises:
        BenchError: not one array of 3 16 128 171 finite numbers.
    """
    arrays = read_npz(path)
    means = [value.squeeze() for value in arrays.values()]  # published with further axes of one entry
    if len(means) != 1 or means[0].shape != MEAN_SHAPE or not means[0].isfinite().all():
        found = {key: tuple(value.shape) for key, value in arrays.items()}
        raise BenchError(f"{path} must hold one array of {MEAN_SHAPE} finite numbers, found {found}")
    return means[0][..., _CROPS[preparation][0], _CROPS[preparation][1]].float()
