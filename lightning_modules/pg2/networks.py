"""PG2's networks (Ma et al., NIPS 2017, arXiv 1705.09368, section 3 and supplement), as the official code has them.

Layers are registered in the order in which the official code creates them: TensorFlow numbers them so; see
`official.py`.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.errors import BenchError
from lightning_modules.pg2.layers import Down, SameConv2d, Up, init_xavier

JOINTS = 18
BOTTOM = 8  # height of the smallest map of G1 and of the discriminator
PoseInput = Literal["maps", "coordinates", "encoder"]


def residual_blocks(height: int, width: int) -> int:
    """N = log2(H) - 2, the blocks of G1's encoder: 5 at 128 x 64, 6 at 256 x 256.

    Raises:
        BenchError: sides that cannot be halved so often.
    """
    blocks = int(math.log2(max(height, 1))) - 2
    if height < 64 or height != 1 << (blocks + 2) or width < 1 or width % (1 << (blocks - 1)):
        raise BenchError(
            f"model.init_args.size is {height} x {width}; PG2 halves frames until they are {BOTTOM} pixels high, so "
            "the height must be a power of 2 from 64 on and the width a multiple of height / 8"
        )
    return blocks


class Encoder(nn.Module):
    """A picture or maps to a code, through residual blocks that get narrower maps and more channels.

    Args:
        below: channels in.
        hidden: channels of the first block; the i-th has i times as many.
        blocks: N.
        height, width: of the pictures.
        dim_z: length of the code.
    """

    def __init__(self, below: int, hidden: int, blocks: int, height: int, width: int, dim_z: int) -> None:
        super().__init__()
        self.stem = SameConv2d(below, hidden)
        self.stages = nn.ModuleList(
            Down(hidden * i, hidden * i, hidden * (i + 1) if i < blocks else None, residual=True)
            for i in range(1, blocks + 1)
        )
        halvings = blocks - 1
        self.to_code = nn.Linear((height >> halvings) * (width >> halvings) * hidden * blocks, dim_z)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """N below H W -> the code N dim_z, linear, and the blocks' maps, largest first."""
        skips, x = [], F.relu(self.stem(x))
        for stage in self.stages:
            skip, x = stage(x)
            skips.append(skip)
        return self.to_code(x.permute(0, 2, 3, 1).flatten(1)), skips  # the code reads H W C


class Coarse(nn.Module):
    """G1, stage I: the source picture and the pose wanted to a coarse picture, through one code.

    Args:
        height, width: of the pictures.
        hidden: channels of the first block, officially 128.
        dim_z: length of the code, officially 64.
        pose_input: `maps` joins the pose maps to the picture; the paper's baselines have a code of the pose that joins
            the picture's: of `coordinates` through two linear layers (G1-CE), of the maps through an `encoder` of their
            own (G1-HME). Widths of these two are our reading: those of the picture's.
    """

    def __init__(self, height: int, width: int, hidden: int, dim_z: int, pose_input: PoseInput = "maps") -> None:
        super().__init__()
        blocks = residual_blocks(height, width)
        self.pose_input = pose_input
        below = 3 + JOINTS if pose_input == "maps" else 3
        self.encoder = Encoder(below, hidden, blocks, height, width, dim_z)
        self.pose: nn.Module | None = None
        if pose_input == "coordinates":
            self.pose = nn.Sequential(nn.Linear(3 * JOINTS, dim_z), nn.ReLU(), nn.Linear(dim_z, dim_z))
        elif pose_input == "encoder":
            self.pose = Encoder(JOINTS, hidden, blocks, height, width, dim_z)
        self.bottom = (height >> (blocks - 1), width >> (blocks - 1))
        codes = dim_z if self.pose is None else 2 * dim_z
        self.from_code = nn.Linear(codes, self.bottom[0] * self.bottom[1] * hidden)
        above = [hidden * (blocks - i) for i in range(1, blocks)]  # behind the 1 x 1 convolutions
        widths = [hidden + hidden * blocks, *(2 * a for a in above)]
        self.stages = nn.ModuleList(
            Up(w, w, None if i == blocks - 1 else above[i], residual=True, last=i == blocks - 1)
            for i, w in enumerate(widths)
        )
        self.out = SameConv2d(widths[-1], 3)

    def code(self, source: Tensor, pose: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The code, the pose's behind the picture's where it has its own, and the picture's maps."""
        if self.pose is None:
            return self.encoder(torch.cat([source, pose], 1))
        code, skips = self.encoder(source)
        of_pose = self.pose(pose)
        return torch.cat([code, of_pose[0] if isinstance(of_pose, tuple) else of_pose], 1), skips

    def forward(self, source: Tensor, pose: Tensor) -> Tensor:
        """A picture; its values may leave [-1, 1], as nothing bounds them.

        Args:
            source: N 3 H W in [-1, 1].
            pose: N 18 H W of -1 and 1, or with `coordinates` N 54.

        Returns:
            N 3 H W.
        """
        code, skips = self.code(source, pose)
        x = self.from_code(code).unflatten(1, (*self.bottom, -1)).permute(0, 3, 1, 2)  # it was H W C
        for stage, skip in zip(self.stages, reversed(skips), strict=True):
            x = stage(torch.cat([x, skip], 1))
        return self.out(x)


class Difference(nn.Module):
    """G2, stage II: the coarse picture and the source to what is to be added to the coarse one. It has no code.

    Args:
        hidden: channels of the first block, officially 128.
        blocks: M = N - 2.
        full_skip: whether the largest map skips to the last block: in the official code for DeepFashion, not for
            Market-1501.
    """

    def __init__(self, hidden: int, blocks: int, full_skip: bool = False) -> None:
        super().__init__()
        self.full_skip = full_skip
        self.stem = SameConv2d(6, hidden)
        self.down = nn.ModuleList(
            Down(hidden * max(i - 1, 1), hidden * i, hidden * i if i < blocks else None, residual=False)
            for i in range(1, blocks + 1)
        )
        # The first block reads the smallest map twice: as it comes and as its own skip.
        widths = [2 * hidden * blocks, *(hidden + hidden * i for i in range(blocks - 1, 0, -1))]
        if not full_skip:
            widths[-1] = hidden
        self.up = nn.ModuleList(Up(w, hidden, None, residual=False, last=i == blocks - 1) for i, w in enumerate(widths))
        self.out = SameConv2d(hidden, 3)

    def forward(self, coarse: Tensor, source: Tensor) -> Tensor:
        """N 3 H W and N 3 H W -> the difference, N 3 H W."""
        skips, x = [], F.relu(self.stem(torch.cat([coarse, source], 1)))
        for stage in self.down:
            skip, x = stage(x)
            skips.append(skip)
        for i, stage in enumerate(self.up):
            skip = skips.pop()
            x = stage(torch.cat([x, skip], 1) if i < len(self.up) - 1 or self.full_skip else x)
        return self.out(x)


class Generator(nn.Module):
    """G1, and G2 upon it.

    Args:
        height, width, hidden, dim_z, pose_input: of `Coarse`.
        full_skip: of `Difference`; None for no G2.

    Attributes:
        refines: int64 buffer, 1 where G2 has been trained: kept with the weights, so that pictures of an export are
            those of its stage.
    """

    refines: Tensor

    def __init__(
        self, height: int, width: int, hidden: int, dim_z: int, pose_input: PoseInput, full_skip: bool | None
    ) -> None:
        super().__init__()
        self.coarse = Coarse(height, width, hidden, dim_z, pose_input)
        blocks = residual_blocks(height, width) - 2
        self.difference = None if full_skip is None else Difference(hidden, blocks, full_skip)
        self.register_buffer("refines", torch.zeros((), dtype=torch.int64))
        init_xavier(self)

    def forward(self, source: Tensor, pose: Tensor, refine: bool) -> tuple[Tensor, Tensor]:
        """The coarse picture and the one to show, N 3 H W each; the same where nothing is refined."""
        coarse = self.coarse(source, pose)
        if self.difference is None or not refine:
            return coarse, coarse
        return coarse, coarse + self.difference(coarse, source)
