"""What Deformable GAN minimises: log losses of the discriminator, and distances of generated and real pictures."""

from typing import Any, Literal

import torch
from torch import Tensor

EPS = 1e-7  # inside the logarithms of the official code


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-mean log D(real) - mean log(1 - D(fake)) over the maps of logits; the sum is not halved (equation 4)."""
    return -(real.float().sigmoid() + EPS).log().mean() - (1 - fake.float().sigmoid() + EPS).log().mean()


def generator_loss(fake: Tensor) -> Tensor:
    """-mean log D(fake)."""
    return -(fake.float().sigmoid() + EPS).log().mean()


def nearest_neighbour(
    generated: Tensor, real: Tensor, area: int, reduction: Literal["mean", "sum", "none"] = "mean"
) -> Tensor:
    """For each pixel the smallest distance of its features to those of a pixel near it in `real` (equation 8).

    The distance is the sum of the channels' absolute differences. Pixels beyond the border are never the nearest. The
    offsets are tried one by one without a gradient, and only the chosen pixels enter the graph: two feature maps at a
    time, whatever the area.

    Args:
        generated, real: N C H W; gradients reach `generated` alone.
        area: height and width of the neighbourhood in pixels, odd: 3 for Market-1501, 5 for DeepFashion.
        reduction: `mean` over pixels and samples (official); `sum` over the pixels, mean over samples (the paper);
            `none`, N H W.
    """
    chosen = nearest(generated.detach(), real.detach(), area)  # N H W
    index = chosen.flatten(1)[:, None].expand(-1, real.shape[1], -1)
    distance = _Distance.apply(generated, real.detach().flatten(2).gather(2, index).view_as(real))  # N H W
    if reduction == "none":
        return distance
    return distance.mean() if reduction == "mean" else distance.sum((1, 2)).mean()


class _Distance(torch.autograd.Function):
    """Sum of the channels' absolute differences, which keeps a byte a number for its gradient, in place of a copy."""

    @staticmethod
    def forward(ctx: Any, generated: Tensor, matched: Tensor) -> Tensor:
        """N C H W twice -> N H W; `matched` is written to."""
        difference = torch.sub(generated, matched, out=matched)
        ctx.save_for_backward(difference.sign().to(torch.int8))
        return difference.abs_().sum(1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Of `generated`."""
        (sign,) = ctx.saved_tensors
        return sign * gradient[:, None], None


@torch.no_grad()
def nearest(generated: Tensor, real: Tensor, area: int) -> Tensor:
    """int64 N H W: which pixel of `real`, numbered row by row, is nearest to each of `generated`."""
    n, _, h, w = generated.shape
    pixels = torch.arange(h * w, device=real.device).view(h, w)
    best = generated.new_full((n, h, w), torch.inf)
    chosen = pixels.repeat(n, 1, 1)
    reach = area // 2
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if abs(dy) >= h or abs(dx) >= w:
                continue
            at = slice(max(0, -dy), min(h, h - dy)), slice(max(0, -dx), min(w, w - dx))
            near = slice(max(0, dy), min(h, h + dy)), slice(max(0, dx), min(w, w + dx))
            distance = (generated[:, :, *at] - real[:, :, *near]).abs_().sum(1)
            closer = distance < best[:, *at]
            best[:, *at] = torch.where(closer, distance, best[:, *at])
            chosen[:, *at] = torch.where(closer, pixels[near], chosen[:, *at])
    return chosen
