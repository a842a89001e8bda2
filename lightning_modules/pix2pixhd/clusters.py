"""Appearances to choose from (section 3.4): centres of the encoder's features of each class's objects."""

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor, nn

from lightning_modules.contract import ClipNoise
from lightning_modules.pix2pixhd.instances import object_means, ranks

OF_CLASS = 1000  # Cityscapes numbers the k-th object of class c as c * 1000 + k; smaller numbers are classes
SMALLEST = 1 / 64  # of the image that an object must cover to count
DRAWN = 4096  # numbers drawn for each clip; objects beyond share them


def classes_of(instances: Tensor) -> Tensor:
    """The class of each object's number."""
    return torch.where(instances < OF_CLASS, instances, instances // OF_CLASS)


def object_features(maps: Tensor, instances: Tensor) -> tuple[Tensor, Tensor]:
    """Features and classes of the objects that are large enough.

    Args:
        maps: of the encoder, N F H W.
        instances: N H W int64.

    Returns:
        M F and M int64.
    """
    means, pixels, of_pixel = object_means(maps, instances)
    numbers = torch.zeros_like(of_pixel).scatter_(1, of_pixel, instances.flatten(1))  # N P, of the object of a rank
    counted = pixels > SMALLEST * of_pixel.shape[1]
    return means.movedim(1, 2)[counted], classes_of(numbers)[counted]


class ClusterBank(nn.Module):
    """Centres of features by class. Empty until `fit`.

    Args:
        classes: numbers of classes known; objects of others have features 0.
        clusters: centres of a class; fewer where it has fewer objects.
        features: length of a feature.
    """

    centres: Tensor
    counts: Tensor

    def __init__(self, classes: int, clusters: int, features: int) -> None:
        super().__init__()
        # Not kept in files: they follow from the encoder and the training frames.
        self.register_buffer("centres", torch.zeros(classes, clusters, features), persistent=False)
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.int64), persistent=False)

    def fit(self, features: Tensor, classes: Tensor) -> None:
        """K-means of each class's features, from starts drawn by a fixed seed.

        Args:
            features: M F.
            classes: M int64.
        """
        points, of = features.double().cpu().numpy(), classes.cpu().numpy()
        self.centres.zero_()
        self.counts.zero_()
        for number in range(len(self.counts)):
            own = points[of == number]
            if not len(own):
                continue
            wanted = min(self.centres.shape[1], len(np.unique(own, axis=0)))
            centres, nearest = kmeans2(own, wanted, minit="++", seed=0)
            found = centres[np.unique(nearest)]  # not those that lost all their points
            self.centres[number, : len(found)] = torch.from_numpy(found).float()
            self.counts[number] = len(found)

    def draw(self, instances: Tensor, noise: ClipNoise) -> Tensor:
        """A centre for each object of each clip, the same in all its frames.

        Args:
            instances: B T H W int64.
            noise: of the clips.

        Returns:
            B T F H W.
        """
        of_pixel = ranks(instances.flatten(1)) % DRAWN  # B P
        uniform = noise.uniform(DRAWN, device=instances.device).gather(1, of_pixel).reshape(instances.shape)
        number = classes_of(instances)
        known = (number >= 0) & (number < len(self.counts))
        number = number.clamp(0, len(self.counts) - 1)
        known &= self.counts[number] > 0
        choice = (uniform * self.counts[number]).long()
        features = self.centres[number, choice] * known[..., None]  # B T H W F
        return features.movedim(-1, 2)
