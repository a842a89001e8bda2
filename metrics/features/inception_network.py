"""The Inception network of 2015-12-05 (Szegedy et al. 2016) by which FID is defined.

It is TensorFlow's graph, not torchvision's Inception: average pooling leaves the border out, the last block pools by
the maximum, there are 1,008 outputs. Modules are named as in its torch port, pt_inception-2015-12-05.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POOLED = 2048
CLASSES = 1008  # 1,000 of ImageNet and 8 that the training never used


class Unit(nn.Module):
    """Convolution without bias, batch normalisation with eps 1e-3, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, same: bool = True
    ) -> None:
        super().__init__()
        size = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (size[0] // 2, size[1] // 2) if same else (0, 0)
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """N C H W."""
        return F.relu(self.bn(self.conv(x)))


def shrink(inputs: int, outputs: int) -> Unit:
    """3x3 of stride 2 without a border."""
    return Unit(inputs, outputs, 3, stride=2, same=False)


def average(x: Tensor) -> Tensor:
    """3x3 mean of stride 1 over what lies inside the picture: at a corner over 4 values, not 9."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class MixedA(nn.Module):
    """Mixed_5b to 5d, on 35x35: 64 + 64 + 96 + `pooled` outputs."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Unit(inputs, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = Unit(inputs, 48, 1), Unit(48, 64, 5)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Unit(inputs, 64, 1), Unit(64, 96, 3)
        self.branch3x3dbl_3 = Unit(96, 96, 3)
        self.branch_pool = Unit(inputs, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N C H W."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        five = self.branch5x5_2(self.branch5x5_1(x))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(average(x))], dim=1)


class MixedB(nn.Module):
    """Mixed_6a, 35x35 to 17x17: 384 + 96 + 288 outputs."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = shrink(inputs, 384)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Unit(inputs, 64, 1), Unit(64, 96, 3)
        self.branch3x3dbl_3 = shrink(96, 96)

    def forward(self, x: Tensor) -> Tensor:
        """N C H W."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], dim=1)


class MixedC(nn.Module):
    """Mixed_6b to 6e, on 17x17: 4 x 192 outputs, through 7x7 taken apart into rows and columns."""

    def __init__(self, inputs: int, middle: int) -> None:
        super().__init__()
        row, column = (1, 7), (7, 1)
        self.branch1x1 = Unit(inputs, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = Unit(inputs, middle, 1), Unit(middle, middle, row)
        self.branch7x7_3 = Unit(middle, 192, column)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = Unit(inputs, middle, 1), Unit(middle, middle, column)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = Unit(middle, middle, row), Unit(middle, middle, column)
        self.branch7x7dbl_5 = Unit(middle, 192, row)
        self.branch_pool = Unit(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N C H W."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(average(x))], dim=1)


class MixedD(nn.Module):
    """Mixed_7a, 17x17 to 8x8: 320 + 192 + 768 outputs."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Unit(inputs, 192, 1), shrink(192, 320)
        self.branch7x7x3_1, self.branch7x7x3_2 = Unit(inputs, 192, 1), Unit(192, 192, (1, 7))
        self.branch7x7x3_3, self.branch7x7x3_4 = Unit(192, 192, (7, 1)), shrink(192, 192)

    def forward(self, x: Tensor) -> Tensor:
        """N C H W."""
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, F.max_pool2d(x, 3, stride=2)], dim=1)


class MixedE(nn.Module):
    """Mixed_7b and 7c, on 8x8: 320 + 768 + 768 + 192 outputs.

    Args:
        maximum: pool by the maximum (7c, as in the graph of 2015-12-05) or by the mean (7b).
    """

    def __init__(self, inputs: int, maximum: bool) -> None:
        super().__init__()
        self.maximum = maximum
        row, column = (1, 3), (3, 1)
        self.branch1x1 = Unit(inputs, 320, 1)
        self.branch3x3_1 = Unit(inputs, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = Unit(384, 384, row), Unit(384, 384, column)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Unit(inputs, 448, 1), Unit(448, 384, 3)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = Unit(384, 384, row), Unit(384, 384, column)
        self.branch_pool = Unit(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N C H W."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.maximum else average(x)
        branches = [
            self.branch1x1(x),
            self.branch3x3_2a(three),
            self.branch3x3_2b(three),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(pooled),
        ]
        return torch.cat(branches, dim=1)


class InceptionNetwork(nn.Module):
    """The convolutions, and `fc` over their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = shrink(3, 32)
        self.Conv2d_2a_3x3 = Unit(32, 32, 3, same=False)
        self.Conv2d_2b_3x3 = Unit(32, 64, 3)
        self.Conv2d_3b_1x1 = Unit(64, 80, 1)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3, same=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = MixedA(192, 32), MixedA(256, 64), MixedA(288, 64)
        self.Mixed_6a = MixedB(288)
        self.Mixed_6b, self.Mixed_6c = MixedC(768, 128), MixedC(768, 160)
        self.Mixed_6d, self.Mixed_6e = MixedC(768, 160), MixedC(768, 192)
        self.Mixed_7a = MixedD(768)
        self.Mixed_7b, self.Mixed_7c = MixedE(1280, maximum=False), MixedE(POOLED, maximum=True)
        self.fc = nn.Linear(POOLED, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Pool features.

        Args:
            x: N 3 299 299, about -1 to 1.

        Returns:
            N 2048.
        """
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # N 64 147 147
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))  # N 192 71 71
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # N 288 35 35
        x = self.Mixed_6a(x)  # N 768 17 17
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7a(x)  # N 1280 8 8
        x = self.Mixed_7c(self.Mixed_7b(x))  # N 2048 8 8
        return x.mean(dim=(2, 3))

    def logits_unbiased(self, pooled: Tensor) -> Tensor:
        """N 2048 -> N 1008: without the bias, as the published Inception Score takes them."""
        return F.linear(pooled, self.fc.weight)
