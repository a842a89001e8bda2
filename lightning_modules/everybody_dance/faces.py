"""The faces of a training step and what is asked of them; frames are averaged, the official halves of two."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lightning_modules.everybody_dance.crops import cut, places, seen
from lightning_modules.everybody_dance.networks import Frame
from lightning_modules.pix2pixhd.losses import perceptual


class Face(NamedTuple):
    """The faces of one frame of N clips.

    Attributes:
        drawn, fake, real: squares of pose, frame made and true frame, N 3 S S.
        counted: N, 0 where there is no face.
    """

    drawn: Tensor
    fake: Tensor
    real: Tensor
    counted: Tensor


def faces_of(made: Sequence[Frame], real: Sequence[Tensor], boxes: Sequence[Tensor]) -> list[Face]:
    """The faces frame by frame.

    Args:
        made: frames with faces.
        real: true frames, N 3 H W each.
        boxes: N 4 each.
    """
    found = []
    for frame, true, box in zip(made, real, boxes, strict=True):
        assert frame.face is not None and frame.drawn is not None
        square = cut(true, places(box, frame.face.shape[2], *true.shape[2:]))
        found.append(Face(frame.drawn, frame.face, square, seen(box)))
    return found


def verdicts(judge: nn.Module, faces: Sequence[Face], *, fake: bool, wanted: bool) -> Tensor:
    """Mean over frames of the squared error of the verdicts, over patches and over the faces that there are.

    Frames pass apart, as BatchNorm sees them in the official code, which counts the batch's last face alone.

    Args:
        judge: `networks.FaceDiscriminator`.
        faces: of each frame.
        fake: whether the faces made are judged, or the true ones.
        wanted: whether the verdict should be "real".
    """
    errors = []
    for face in faces:
        verdict = judge(torch.cat([face.drawn, face.fake if fake else face.real], 1)).float()
        error = (verdict - float(wanted)).square().mean((1, 2, 3))  # N
        errors.append((error * face.counted).sum() / face.counted.sum().clamp(min=1))
    return torch.stack(errors).mean()


def face_perceptual(network: nn.Module, faces: Sequence[Face]) -> Tensor:
    """See `pix2pixhd.losses.perceptual`, mean over frames and clips; where there is no face both are blank."""
    counted = torch.cat([face.counted for face in faces])[:, None, None, None]
    fake, real = torch.cat([face.fake for face in faces]), torch.cat([face.real for face in faces])
    return perceptual(network, fake * counted, real * counted)
