"""The I3D network (Carreira and Zisserman 2017) as TensorFlow computes it: Inception-v1 with kernels grown in time."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Channels of the branches: b0, b1a, b1b, b2a, b2b, b3b.
MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
CLASSES = 400


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """What TensorFlow's SAME adds before and after an axis: ceil(size / stride) outputs, an odd rest at the end.

    >>> same_padding(224, 7, 2), same_padding(15, 7, 2), same_padding(56, 3, 1)
    ((2, 3), (3, 3), (1, 1))
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Zeros around B C T H W by `same_padding`."""
    each = [same_padding(*axis) for axis in zip(x.shape[2:], kernel, stride, strict=True)]
    sides = [side for before_after in reversed(each) for side in before_after]  # F.pad begins with the last axis
    return F.pad(x, sides) if any(sides) else x


def max_pool(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """SAME max-pooling. TensorFlow leaves the border out; zeros are the same after a ReLU, and all inputs are."""
    return F.max_pool3d(pad_same(x, kernel, stride), tuple(kernel), tuple(stride))


class FixedBatchNorm(nn.Module):
    """Batch normalisation by stored statistics; TensorFlow's has no gamma, so `weight` is 1."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        """B C T H W."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class Unit(nn.Module):
    """SAME convolution without bias, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, eps: float, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = FixedBatchNorm(outputs, eps)

    def forward(self, x: Tensor) -> Tensor:
        """B C T H W."""
        return F.relu(self.bn(self.conv3d(pad_same(x, self.kernel, self.stride))))


class Mixed(nn.Module):
    """Four branches, joined over channels: 1, 1-3, 1-3, and pooling-1."""

    def __init__(self, inputs: int, channels: Sequence[int], eps: float) -> None:
        super().__init__()
        c0, c1a, c1b, c2a, c2b, c3b = channels
        self.b0 = Unit(inputs, c0, 1, eps)
        self.b1a, self.b1b = Unit(inputs, c1a, 1, eps), Unit(c1a, c1b, 3, eps)
        self.b2a, self.b2b = Unit(inputs, c2a, 1, eps), Unit(c2a, c2b, 3, eps)
        self.b3b = Unit(inputs, c3b, 1, eps)
        self.outputs = c0 + c1b + c2b + c3b

    def forward(self, x: Tensor) -> Tensor:
        """B C T H W."""
        pooled = max_pool(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], dim=1)


class Head(nn.Module):
    """The last, biased 1x1x1 convolution."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """B C T H W."""
        return self.conv3d(x)


class I3DNetwork(nn.Module):
    """RGB I3D with 400 logits; modules are named as in its torch ports (piergiaj, VideoGPT).

    Args:
        eps: of batch normalisation; 1e-3 in the published graph.
    """

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(3, 64, 7, eps, stride=2)
        self.Conv3d_2b_1x1 = Unit(64, 64, 1, eps)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3, eps)
        width = 192
        for name, channels in MIXED.items():
            mixed = Mixed(width, channels, eps)
            self.add_module(name, mixed)
            width = mixed.outputs
        self.logits = Head(width)

    def forward(self, x: Tensor) -> Tensor:
        """Logits averaged over time, before the softmax.

        Args:
            x: B 3 T 224 224 in [-1, 1], T at least 9.

        Returns:
            B 400.
        """
        x = self.Conv3d_1a_7x7(x)  # B 64 T/2 112 112
        x = max_pool(x, (1, 3, 3), (1, 2, 2))
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))  # B 192 T/2 56 56
        x = self._mixed(max_pool(x, (1, 3, 3), (1, 2, 2)), "3")  # B 480 T/2 28 28
        x = self._mixed(max_pool(x, (3, 3, 3), (2, 2, 2)), "4")  # B 832 T/4 14 14
        x = self._mixed(max_pool(x, (2, 2, 2), (2, 2, 2)), "5")  # B 1024 T/8 7 7
        x = F.avg_pool3d(x, (2, 7, 7), stride=1)  # B 1024 T/8-1 1 1
        return self.logits(x).mean(dim=(2, 3, 4))

    def _mixed(self, x: Tensor, stage: str) -> Tensor:
        for name in MIXED:
            if name.startswith(f"Mixed_{stage}"):
                x = self.get_submodule(name)(x)
        return x
