"""TGAN's networks (Saito, Matsumoto, Saito, ICCV 2017, arXiv 1611.06624, Table 1), with the official layers' names.

A layer called `dc1` in an official snapshot is `dc1` here; see `official.py`. All clips have 16 frames: the temporal
generator doubles one code four times, the critic halves the clip four times.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FRAMES = 16
HALVINGS = 4  # of the frames' sides, by the image generator and by the critic
EPS = 2e-5  # Chainer's default for BatchNorm; its decay of 0.9 is PyTorch's default momentum


def batch_norm(dims: int, channels: int, beta: bool = True) -> nn.modules.batchnorm._BatchNorm:
    """BatchNorm over `dims` axes of place; without `beta` it scales and does not shift."""
    norm = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dims](channels, eps=EPS)
    if not beta:
        norm.register_parameter("bias", None)
    return norm


class TemporalGenerator(nn.Module):
    """G0: one code z0 of the clip to a code z1 of each frame, by transposed convolutions over time.

    Args:
        dim_slow: length of z0, with the category's one-hot where there is one.
        dim_fast: length of the codes z1.
        widths: channels of the four hidden layers; officially 512, 256, 128, 128.
        beta: whether BatchNorm shifts; the official reference config leaves the shift out.
    """

    def __init__(self, dim_slow: int, dim_fast: int, widths: Sequence[int], beta: bool = False) -> None:
        super().__init__()
        self.dim_fast = dim_fast
        for i, (below, above) in enumerate(zip([dim_slow, *widths], [*widths, dim_fast], strict=True)):
            self.add_module(f"dc{i}", nn.ConvTranspose1d(below, above, *((4, 2, 1) if i else (1, 1, 0))))
            if i < HALVINGS:
                self.add_module(f"bn{i}", batch_norm(1, above, beta))

    def forward(self, slow: Tensor) -> Tensor:
        """B dim_slow -> B dim_fast 16, in [-1, 1]."""
        x = slow[..., None]  # B dim_slow 1
        for i in range(HALVINGS):
            x = F.relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"dc{i}")(x)))
        return torch.tanh(self.get_submodule(f"dc{HALVINGS}")(x))


class ImageGenerator(nn.Module):
    """G1: z0 and the code z1 of one frame, each through a linear layer of its own, to that frame.

    Args:
        dim_slow, dim_fast: lengths of the codes.
        categories: length of the one-hot that has a third linear layer; 0 for none.
        channels: C of the frames.
        width: channels of z0's and z1's maps together; officially 512.
        bottom: side of the smallest map, a sixteenth of the frame's.
    """

    def __init__(
        self, dim_slow: int, dim_fast: int, categories: int = 0, channels: int = 3, width: int = 512, bottom: int = 4
    ) -> None:
        super().__init__()
        self.bottom = bottom
        branches = {"s": dim_slow, "f": dim_fast} | ({"c": categories} if categories else {})
        self.branches = list(branches)
        for name, length in branches.items():
            nodes = width // 2 * bottom**2
            self.add_module(f"l0{name}", nn.Linear(length, nodes, bias=False))
            self.add_module(f"bn0{name}", batch_norm(1, nodes))
        widths = [width // 2 * len(branches)] + [width // 2**i for i in range(1, HALVINGS + 1)]
        for i, (below, above) in enumerate(pairwise(widths), start=1):
            self.add_module(f"dc{i}", nn.ConvTranspose2d(below, above, 4, 2, 1, bias=False))
            self.add_module(f"bn{i}", batch_norm(2, above))
        self.dc5 = nn.ConvTranspose2d(widths[-1], channels, 3, 1, 1)

    def forward(self, *codes: Tensor) -> Tensor:
        """z0 N dim_slow, z1 N dim_fast and, with categories, their one-hot -> N C H W in [-1, 1]."""
        maps = []
        for name, code in zip(self.branches, codes, strict=True):
            nodes = F.relu(self.get_submodule(f"bn0{name}")(self.get_submodule(f"l0{name}")(code)))
            maps.append(nodes.unflatten(1, (-1, self.bottom, self.bottom)))  # N width/2 bottom bottom
        x = torch.cat(maps, 1)
        for i in range(1, HALVINGS + 1):
            x = F.relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"dc{i}")(x)))
        return torch.tanh(self.dc5(x))


class VideoGenerator(nn.Module):
    """TGAN's generator: z0 -> a code z1 for each frame -> frames.

    Args:
        dim_slow, dim_fast: lengths of z0 and of the codes z1.
        categories: 0, or how many the clips are conditioned on.
        channels: C of the frames.
        temporal_widths: of `TemporalGenerator`.
        width, bottom: of `ImageGenerator`.
        beta: of `TemporalGenerator`.
    """

    def __init__(
        self,
        dim_slow: int,
        dim_fast: int,
        categories: int,
        channels: int,
        temporal_widths: Sequence[int],
        width: int,
        bottom: int,
        beta: bool,
    ) -> None:
        super().__init__()
        self.dim_slow, self.categories = dim_slow, categories
        self.temporal = TemporalGenerator(dim_slow + categories, dim_fast, temporal_widths, beta)
        self.image = ImageGenerator(dim_slow, dim_fast, categories, channels, width, bottom)

    def render(self, slow: Tensor, fast: Tensor, one_hot: Tensor) -> Tensor:
        """The frames of given codes.

        Args:
            slow: z0, B dim_slow.
            fast: z1, B dim_fast T, for any T.
            one_hot: B categories.

        Returns:
            B C T H W in [-1, 1].
        """
        frames = fast.shape[2]
        constant = [slow, one_hot] if self.categories else [slow]
        repeated = [code.repeat_interleave(frames, 0) for code in constant]  # B*T ...
        # B*T C H W, clip by clip: BatchNorm sees all frames of all clips
        images = self.image(repeated[0], fast.transpose(1, 2).flatten(0, 1), *repeated[1:])
        return images.unflatten(0, (-1, frames)).transpose(1, 2)

    def forward(self, slow: Tensor, one_hot: Tensor, finer: int = 1) -> Tensor:
        """Clips of 16 frames, or with `finer` - 1 frames more between any two.

        Args:
            slow: z0, B dim_slow.
            one_hot: B categories; B 0 without.
            finer: see `interpolate`.

        Returns:
            B C 15*finer+1 H W in [-1, 1].
        """
        fast = self.temporal(torch.cat([slow, one_hot], 1))
        return self.render(slow, interpolate(fast, finer), one_hot)


def interpolate(fast: Tensor, finer: int) -> Tensor:
    """Codes between codes, as the paper interpolates frames: the straight line from each z1 to the next.

    Args:
        fast: B dim_fast T.
        finer: steps from one code to the next; 1 changes nothing.

    Returns:
        B dim_fast (T-1)*finer+1; every `finer`-th is a given code, to the last bit.
    """
    if finer == 1:
        return fast
    share = torch.arange(finer, device=fast.device, dtype=fast.dtype) / finer
    between = torch.lerp(fast[..., :-1, None], fast[..., 1:, None], share)  # B dim_fast T-1 finer
    return torch.cat([between.flatten(2), fast[..., -1:]], 2)


class VolumeGenerator(nn.Module):
    """The paper's baseline "3D model": z0 to a map, then transposed convolutions over time and space at once.

    The paper tells of one linear layer and four transposed convolutions; that the widths are the critic's reversed,
    with BatchNorm and ReLU between, is our reading of it.

    Args:
        dim_slow: length of z0.
        categories: 0, or length of the one-hot joined to z0.
        channels: C of the frames.
        width: channels of the first map.
        bottom: side of the first map, a sixteenth of the frame's; it has one frame.
    """

    def __init__(self, dim_slow: int, categories: int, channels: int, width: int, bottom: int) -> None:
        super().__init__()
        self.dim_slow, self.categories, self.bottom = dim_slow, categories, bottom
        widths = [width // 2**i for i in range(HALVINGS)]
        self.l0 = nn.Linear(dim_slow + categories, width * bottom**2, bias=False)
        self.bn0 = batch_norm(1, width * bottom**2)
        for i, (below, above) in enumerate(zip(widths, [*widths[1:], channels], strict=True), start=1):
            last = i == HALVINGS
            self.add_module(f"dc{i}", nn.ConvTranspose3d(below, above, 4, 2, 1, bias=last))
            if not last:
                self.add_module(f"bn{i}", batch_norm(3, above))

    def forward(self, slow: Tensor, one_hot: Tensor, finer: int = 1) -> Tensor:
        """B dim_slow and B categories -> B C 16 H W in [-1, 1]. It has no codes to interpolate: `finer` is 1."""
        assert finer == 1, "refused before"
        nodes = F.relu(self.bn0(self.l0(torch.cat([slow, one_hot], 1))))
        x = nodes.unflatten(1, (-1, 1, self.bottom, self.bottom))  # B width 1 bottom bottom
        for i in range(1, HALVINGS):
            x = F.relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"dc{i}")(x)))
        return torch.tanh(self.get_submodule(f"dc{HALVINGS}")(x))
