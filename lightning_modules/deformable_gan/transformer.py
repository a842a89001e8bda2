"""One map for the whole image from a small network that sees the joints' places (`warp_skip: stn`)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.deformable_gan.joints import JOINTS

MISSING = -1.0
SLOPE = 0.2


def places(given: Tensor, wanted: Tensor) -> Tensor:
    """N 18 3 twice -> N 72: y and x of each joint in pixels, -1 where it is missing, the given pose's first."""
    both = torch.stack([given, wanted], 1)  # N 2 J 3
    return torch.where(both[..., 2:] > 0, both[..., :2].flip(-1), MISSING).flatten(1)


class SpatialTransformer(nn.Module):
    """Three layers that start as the identity, then bilinear sampling; every level asks the same ones.

    The official layer's corners of the image are its outer pixels' centres here; how its sampler counts was not read.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, last = nn.Linear(4 * JOINTS, 64), nn.Linear(64, 32), nn.Linear(32, 6)
        self.maps = nn.Sequential(first, nn.LeakyReLU(SLOPE), second, nn.LeakyReLU(SLOPE), last)
        for layer in (first, second):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    def forward(self, features: Tensor, places: Tensor) -> Tensor:
        """N C h w and N 72 -> N C h w; zero outside."""
        maps = self.maps(places).float().unflatten(-1, (2, 3))  # N 2 3, in coordinates of -1..1
        grid = F.affine_grid(maps, list(features.shape), align_corners=True)
        return F.grid_sample(features.float(), grid, align_corners=True).to(features.dtype)
