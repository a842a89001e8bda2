"""Which frames the discriminators of time judge together."""

import torch
from torch import Tensor

from lightning_modules.vid2vid.clip import Clip
from lightning_modules.vid2vid.losses import over_time
from lightning_modules.vid2vid.warp import chain


def groups(start: int, stop: int, frames: int, scale: int) -> list[list[int]]:
    """Groups of frames that end in a chunk, the last first, as the official code takes them.

    Args:
        start, stop: the chunk's first frame, and the one after its last.
        frames: in a group (officially 3).
        scale: of time: neighbours in a group are `frames ** scale` frames apart.

    Returns:
        Frame numbers of each group; they may lie before the chunk, never before 0. Groups end `frames` apart.
    """
    skip = frames**scale
    ends = range(stop - 1, start - 1, -frames)
    return [list(range(end - skip * (frames - 1), end + 1, skip)) for end in ends if end >= skip * (frames - 1)]


def reach(frames: int, scales: int) -> int:
    """How many frames before a chunk its groups may need."""
    return frames ** (scales - 1) * (frames - 1) if scales else 0


def judged(clip: Clip, fakes: Tensor, start: int, stop: int, frames: int, scale: int) -> tuple[Tensor, Tensor] | None:
    """What a discriminator of time judges in a chunk; None where no group ends in it.

    Args:
        clip: a sequence; what is made are its last frames, from the one numbered 0 on.
        fakes: frames made, B K 3 H W.
        start, stop, frames, scale: see `groups`.

    Returns:
        N C H W each of true frames and of fakes, both beside the true flow between the true frames.
    """
    found = groups(start, stop, frames, scale)
    if not found:
        return None
    past = clip.real.shape[1] - clip.made
    at, skip = torch.tensor(found, device=fakes.device), frames**scale
    # The flows that lead from each frame of a group but the first to the one before it there.
    steps = at[:, 1:, None] - torch.arange(skip, device=fakes.device).flip(0)
    flows = clip.flow[:, past:][:, steps].transpose(-4, -3)  # B G K-1 2 skip H W
    flow = chain(flows.flatten(0, 2)).unflatten(0, (-1, frames - 1)).transpose(1, 2)  # B G, 2 K-1 H W
    true, fake = (whole[:, at].flatten(0, 1).transpose(1, 2) for whole in (clip.real[:, past:], fakes))  # B G, 3 K H W
    return over_time(true, flow), over_time(fake, flow)
