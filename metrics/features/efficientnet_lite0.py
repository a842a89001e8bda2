from pathlib import Path
from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.errors import BenchError
from metrics.features.i3d_network import pad_same
from metrics.features.published import PublishedExtractor, by_frame
from metrics.features.resize import Rule, check_rule, resize

SIDE, POOLED, CLASSES = 224, 1280, 1000


class Stage(NamedTuple):
    """Blocks in a row; the first of them has the stride."""

    blocks: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class SameConv(nn.Conv2d):
    """Convolution without bias, padded by TensorFlow's rule: the odd rest below and to the right."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.window, self.step = (kernel, kernel), (stride, stride)

    def forward(self, input: Tensor) -> Tensor:
        """N C H W."""
        return super().forward(pad_same(input, self.window, self.step))


class Block(nn.Module):
    """Inverted residual: widen, filter each channel alone, narrow; no squeeze-and-excitation in the Lite family."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        middle = inputs * expand
        self.widens, self.adds = expand > 1, stride == 1 and inputs == outputs
        if self.widens:
            self._expand_conv, self._bn0 = SameConv(inputs, middle, 1), _norm(middle)
        self._depthwise_conv, self._bn1 = SameConv(middle, middle, kernel, stride, groups=middle), _norm(middle)
        self._project_conv, self._bn2 = SameConv(middle, outputs, 1), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """N C H W."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class EfficientNetLite0Network(nn.Module):
    """EfficientNet-Lite0 (Tan and Le 2019; the Lite family is without squeeze-and-excitation, with ReLU6)."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, stride=2), _norm(32)
        width, blocks = 32, []
        for stage in STAGES:
            for number in range(stage.blocks):
                stride = 1 if number else stage.stride
                blocks.append(Block(width, stage.channels, stage.kernel, stride, stage.expand))
                width = stage.channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv(width, POOLED, 1), _norm(POOLED)
        self._fc = nn.Linear(POOLED, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Means over the last layer's positions.

        Args:
            x: N 3 224 224, (pixel - 127) / 128.

        Returns:
            N 1280.
        """
        x = F.relu6(self._bn0(self._conv_stem(x)))  # N 32 112 112
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))  # from N 1280 7 7

    def logits(self, pooled: Tensor) -> Tensor:
        """N 1280 -> N 1000, in the order of ImageNet's 1,000 classes."""
        return self._fc(pooled)


class EfficientNetLite0(PublishedExtractor):
    """EfficientNet-Lite0 trained on ImageNet, on single frames: real features without a large download.

    It stands in where Inception's file cannot be had; its Frechet distance is no FID and is not called so.

    Args:
        path: a file in the published layout; None takes the published one, `efficientnet_lite0`.
        output: `features`, 1280 means over the last layer's positions; `probabilities`, the softmax over 1,000 classes.
        resize: rule by which frames are brought to 224x224, whatever their aspect.

    Raises:
        BenchError: an unknown option, or `path` does not hold these weights.
    """

    name = "efficientnet_lite0"
    level = "frame"
    weights = "efficientnet_lite0"

    def __init__(
        self,
        path: Path | None = None,
        output: Literal["features", "probabilities"] = "features",
        resize: Rule = "antialias",
    ) -> None:
        super().__init__()
        check_rule("efficientnet_lite0", resize)
        if output not in ("features", "probabilities"):
            raise BenchError(f"efficientnet_lite0: output must be features or probabilities, found {output!r}")
        self.output = output
        self.resize: Rule = resize
        self.num_features = POOLED if output == "features" else CLASSES
        self.preprocessing = f"{resize} bilinear to 224x224, (x-127)/128, {output}"
        self.adopt(EfficientNetLite0Network, path)

    def features(self, clips: Tensor) -> Tensor:
        """See `Extractor.features`."""
        return by_frame(clips, self._describe)

    def _describe(self, frames: Tensor) -> Tensor:
        assert isinstance(self.network, EfficientNetLite0Network)
        pooled: Tensor = self.network(self.preprocess(frames))
        return pooled if self.output == "features" else self.network.logits(pooled).softmax(dim=1)

    def preprocess(self, frames: Tensor) -> Tensor:
        """Float N 3 H W in 0..255 -> N 3 224 224."""
        return (resize(frames, (SIDE, SIDE), self.resize) - 127) / 128
