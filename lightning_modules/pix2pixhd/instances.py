"""Maps of objects: their outlines, and means over each of them."""

import torch
from torch import Tensor


def edges(instances: Tensor) -> Tensor:
    """Outlines of the objects (section 3.3.1), of both objects at a border.

    Args:
        instances: N H W, a number for each object.

    Returns:
        N 1 H W float, 1 where a pixel's number differs from that of its neighbour at the left, right, top or bottom.
    """
    outline = torch.zeros_like(instances, dtype=torch.bool)
    beside = instances[:, :, 1:] != instances[:, :, :-1]
    below = instances[:, 1:] != instances[:, :-1]
    outline[:, :, 1:] |= beside
    outline[:, :, :-1] |= beside
    outline[:, 1:] |= below
    outline[:, :-1] |= below
    return outline[:, None].float()


def ranks(numbers: Tensor) -> Tensor:
    """Objects counted from 0 within each row, in the order of their numbers; on the device, without waiting for it.

    Args:
        numbers: N P int64.

    Returns:
        N P int64, below P.
    """
    ordered, order = numbers.sort(1)
    new = torch.zeros_like(ordered)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.empty_like(order).scatter_(1, order, new.cumsum(1))


def object_means(maps: Tensor, instances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean of the maps over each object of each image.

    Args:
        maps: N C H W.
        instances: N H W int64.

    Returns:
        Means N C P and pixels N P of each object by its rank (P = H W places, those without an object are 0), and the
        pixels' ranks N P.
    """
    of_pixel = ranks(instances.flatten(1))  # N P
    index = of_pixel[:, None].expand(-1, maps.shape[1], -1)
    # In float32 also under autocast: a street has a hundred thousand pixels
    sums = torch.zeros_like(index, dtype=torch.float32).scatter_add(2, index, maps.flatten(2).float())
    pixels = torch.zeros_like(of_pixel, dtype=torch.float32)
    pixels = pixels.scatter_add(1, of_pixel, torch.ones_like(pixels))
    return sums / pixels.clamp(min=1)[:, None], pixels, of_pixel


def pool(maps: Tensor, instances: Tensor) -> Tensor:
    """Instance-wise average pooling (section 3.4): each pixel takes the mean over its object in its image.

    Args:
        maps: N C H W.
        instances: N H W int64.
    """
    means, _, of_pixel = object_means(maps, instances)
    return means.gather(2, of_pixel[:, None].expand(-1, maps.shape[1], -1)).reshape(maps.shape)
