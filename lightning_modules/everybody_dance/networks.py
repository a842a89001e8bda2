"""Everybody Dance Now's networks (Chan et al., ICCV 2019, arXiv 1808.07371): pix2pixHD's with a memory and a face."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lightning_modules.everybody_dance.crops import add, cut, places, seen
from lightning_modules.pix2pixhd.discriminator import patch_stages
from lightning_modules.pix2pixhd.networks import GlobalGenerator
from lightning_modules.pix2pixhd.translator import Stage, Translator

CHANNELS = 3  # of a drawn pose and of a frame


class Frame(NamedTuple):
    """One frame of a dancer.

    Attributes:
        whole: N 3 H W. Outside [-1, 1] where the face's residual leaves it.
        body: as the main network made it, N 3 H W in [-1, 1].
        face: the square of `whole`, N 3 S S; None without the face network.
        drawn: the same square of the pose.
        residual: what was added to the face, in [-1, 1].
    """

    whole: Tensor
    body: Tensor
    face: Tensor | None = None
    drawn: Tensor | None = None
    residual: Tensor | None = None


class Dancer(nn.Module):
    """A pose and the frame before -> the frame (section 4.2), and a residual for the face (section 4.3).

    Args:
        body: the main network, of a pose and a frame.
        face: the face's network, of squares of the pose and of the frame; None for none.
        face_size: side of the squares.
    """

    face_trained: Tensor

    def __init__(self, body: Translator, face: GlobalGenerator | None, face_size: int) -> None:
        super().__init__()
        self.body, self.face, self.face_size = body, face, face_size
        if face is not None:  # an export made before its stage shows what was trained
            self.register_buffer("face_trained", torch.zeros((), dtype=torch.bool))

    def frame(self, pose: Tensor, before: Tensor, stage: Stage = "joint", frozen: bool = False) -> Tensor:
        """The main network's frame, N 3 H W.

        Args:
            pose, before: N 3 H W; the drawn pose, and the frame before it or zeros.
            stage: see `Translator`.
            frozen: the main network's weights take no gradient. The frame before still does: the face in it is trained
                by what it does to the next frame.
        """
        x = torch.cat([pose, before], 1)
        if not frozen:
            return self.body(x, stage)
        fixed = {name: value.detach() for name, value in self.body.state_dict(keep_vars=True).items()}
        return functional_call(self.body, fixed, (x, stage))

    def with_face(self, pose: Tensor, body: Tensor, boxes: Tensor) -> Frame:
        """Adds the face's residual where there is a face.

        Args:
            pose, body: N 3 H W.
            boxes: N 4, see `VideoBatch`.
        """
        assert self.face is not None
        at = places(boxes, self.face_size, *body.shape[2:])
        drawn = cut(pose, at)
        residual = self.face(torch.cat([drawn, cut(body, at)], 1)) * seen(boxes)[:, None, None, None]
        whole = add(body, residual, at)
        return Frame(whole, body, cut(whole, at), drawn, residual)

    def forward(self, pose: Tensor, before: Tensor, boxes: Tensor | None = None) -> Tensor:
        """The frame as sampling shows it and sees it next, in any stage of training: N 3 H W."""
        body = self.body.full_size(torch.cat([pose, before], 1))
        if self.face is None or boxes is None or not bool(self.face_trained):
            return body
        return self.with_face(pose, body, boxes).whole


class FaceDiscriminator(nn.Module):
    """A patch discriminator of one scale, with BatchNorm, on squares of pose and frame: N 6 S S -> N 1 s s."""

    def __init__(self, ndf: int, n_layers: int) -> None:
        super().__init__()
        stages = patch_stages(2 * CHANNELS, ndf, n_layers, "batch")
        self.facemodel = nn.Sequential(*(layer for stage in stages for layer in stage))

    def forward(self, x: Tensor) -> Tensor:
        """N 6 S S -> N 1 s s."""
        return self.facemodel(x)
