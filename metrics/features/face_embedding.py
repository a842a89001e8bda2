from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metrics.features.published import PublishedExtractor, by_frame
from metrics.features.resize import Rule, check_rule, resize
from metrics.features.tfjs import read_tfjs
from metrics.weights import identity, locate

SIDE, DIMS = 150, 128
MEAN = (122.782, 117.001, 104.298)  # red, green, blue
# Name, inputs, outputs and kind of each residual block.
BLOCKS: tuple[tuple[str, int, int, Literal["same", "down"]], ...] = (
    *((f"conv32_{number}", 32, 32, "same") for number in (1, 2, 3)),
    ("conv64_down", 32, 64, "down"),
    *((f"conv64_{number}", 64, 64, "same") for number in (1, 2, 3)),
    ("conv128_down", 64, 128, "down"),
    *((f"conv128_{number}", 128, 128, "same") for number in (1, 2)),
    ("conv256_down", 128, 256, "down"),
    *((f"conv256_{number}", 256, 256, "same") for number in (1, 2)),
    ("conv256_down_out", 256, 256, "down"),
)


class ScaledConv(nn.Module):
    """Convolution, then a factor and an offset a channel: batch normalisation with its statistics folded in."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        self.weights, self.biases = nn.Parameter(torch.ones(outputs)), nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """N C H W."""
        return self.conv(x) * self.weights[:, None, None] + self.biases[:, None, None]


class Block(nn.Module):
    """Two 3x3 convolutions beside the input, which where the block shrinks is averaged over 2x2."""

    def __init__(self, inputs: int, outputs: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = ScaledConv(inputs, outputs, 3, stride=2 if down else 1, padding=0 if down else 1)
        self.conv2 = ScaledConv(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """N C H W. Of two pictures the smaller is continued by zeros below and to the right, channels likewise."""
        y = self.conv2(F.relu(self.conv1(x)))
        if self.down:
            x = F.avg_pool2d(x, 2)
            height, width = x.shape[2:]  # not less than the convolution's, which has no border
            y = F.pad(y, (0, width - y.shape[3], 0, height - y.shape[2]))
            x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return F.relu(x + y)


class FaceNetwork(nn.Module):
    """The residual network of dlib's face recognition (King 2017): 150x150 faces to 128 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv32_down = ScaledConv(3, 32, 7, stride=2)
        for name, inputs, outputs, kind in BLOCKS:
            self.add_module(name, Block(inputs, outputs, kind == "down"))
        self.fc = nn.Linear(256, DIMS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """N 3 150 150, 0..255 less the mean over 256 -> N 128."""
        x = F.relu(self.conv32_down(x))  # N 32 72 72
        x = F.max_pool2d(x, 3, stride=2)  # N 32 35 35
        for name, *_ in BLOCKS:
            x = self.get_submodule(name)(x)
        return self.fc(x.mean(dim=(2, 3)))  # from N 256 3 3


class FaceEmbedding(PublishedExtractor):
    """128 numbers a face; two pictures of one person lie within about 0.6 of each other (L2), by dlib's account.

    Frames must be crops around one face each: it is not looked for. Used only where a metric is given it; embeddings
    are personal data, and are never stored by person.

    Args:
        path: manifest of TensorFlow.js weights in face-api's layout, its shards beside it; None takes the published
            ones, `face_embedding`.
        resize: rule by which crops are brought to 150x150, whatever their aspect.

    Raises:
        BenchError: an unknown option, or `path` does not hold these weights.
    """

    name = "face_embedding"
    level = "frame"
    num_features = DIMS
    weights = "face_embedding"

    def __init__(self, path: Path | None = None, resize: Rule = "antialias") -> None:
        super().__init__()
        check_rule("face_embedding", resize)
        self.resize: Rule = resize
        self.preprocessing = f"{resize} bilinear to 150x150, (x - ({', '.join(map(str, MEAN))})) / 256"
        self.adopt(FaceNetwork, path)

    @property
    def weights_identity(self) -> str:
        """Of both files: the manifest holds what the bytes are multiplied by."""
        own = super().weights_identity
        return own if self._given else f"{own}, manifest {identity('face_embedding_manifest')}"

    def load(self) -> None:
        """See `Extractor.load`."""
        locate(self.weights)  # the shard lies beside the manifest: here its digest is checked
        self.read(locate("face_embedding_manifest"))

    def contents(self, path: Path) -> Mapping[str, Tensor]:
        """`conv64_1/conv1/conv/filters` H W in out is `conv64_1.conv1.conv.weight` out in H W, and so on."""
        renamed = {}
        for key, value in read_tfjs(path).items():
            own = key.replace("conv/filters", "conv/weight").replace("scale/", "").replace("/", ".")
            axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim, (0,))
            renamed["fc.weight" if key == "fc" else own] = value.permute(axes).contiguous()
        return renamed

    def features(self, clips: Tensor) -> Tensor:
        """See `Extractor.features`."""
        return by_frame(clips, lambda frames: self.network(self.preprocess(frames)))

    def preprocess(self, frames: Tensor) -> Tensor:
        """Float N 3 H W in 0..255 -> N 3 150 150."""
        return (resize(frames, (SIDE, SIDE), self.resize) - frames.new_tensor(MEAN).view(3, 1, 1)) / 256
