import torch
from torch import Tensor, nn

SIDE = 64  # pixels of the frames that the network sees
SHORTEST = 8  # frames of which all five convolutions leave one


class ActionNetwork(nn.Module):
    """The classifier of TwoStreamVAN's evaluation (Sun et al. 2020): B 3 T 64 64 in [-1, 1] -> logits.

    Five Conv3d of kernel 4: widths 1, 2, 4, 8 times `width` with spatial stride 2 and LeakyReLU 0.2, batch norm on the
    second to fourth, then one to the classes. How its time axis is padded was not to be found: here by 1 in the first
    four, and logits are averaged over what is left of time, so that clips may have any length from 8 frames.

    Args:
        classes: number of categories.
        width: of the first layer, 64 in the original.
    """

    def __init__(self, classes: int, width: int = 64) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width, 8 * width)
        layers: list[nn.Module] = []
        for place in range(4):
            layers.append(nn.Conv3d(widths[place], widths[place + 1], 4, (1, 2, 2), 1))
            layers += [nn.BatchNorm3d(widths[place + 1])] if place else []
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv3d(8 * width, classes, 4))

    def forward(self, clips: Tensor) -> Tensor:
        """B classes."""
        return self.layers(clips).mean(dim=(2, 3, 4))


def shown(clips: Tensor, crop: int = 0) -> Tensor:
    """What the network sees of uint8 clips: B 3 T H W -> float B 3 T 64 64 in [-1, 1], frame by frame bilinear.

    Args:
        crop: rows and columns that are left out around the middle, as in TwoStreamVAN's tests.
    """
    if crop:
        before = crop // 2
        clips = clips[..., before : clips.shape[3] - crop + before, before : clips.shape[4] - crop + before]
    b, c, t, height, width = clips.shape
    levels = clips.float() / 127.5 - 1
    if (height, width) == (SIDE, SIDE):
        return levels
    frames = levels.transpose(1, 2).reshape(b * t, c, height, width)
    frames = nn.functional.interpolate(frames, (SIDE, SIDE), mode="bilinear", antialias=True)
    return frames.reshape(b, t, c, SIDE, SIDE).transpose(1, 2)


@torch.no_grad()
def accuracy(network: ActionNetwork, clips: Tensor, labels: Tensor, crop: int = 0) -> float:
    """Share of uint8 clips B 3 T H W whose most likely class is their label."""
    return float((network(shown(clips, crop)).argmax(dim=1) == labels).double().mean())
