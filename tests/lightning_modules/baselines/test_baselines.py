from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.base import ClipData
from datamodules.errors import BenchError
from lightning_modules.baselines.copy_clip import CopyClip
from lightning_modules.baselines.noise import Noise
from lightning_modules.contract import ClipNoise, Method
from metrics.base import to_uint8

Data = Callable[..., ClipData]


def build(method: type[Method], squares: Data) -> Method:
    built = method(size=32, frames=13)
    built.prepare(squares(stride=2))
    return built


@pytest.mark.parametrize("method", [Noise, CopyClip])
def test_keyed_by_clip(method: type[Method], squares: Data) -> None:
    built = build(method, squares)
    before = torch.get_rng_state()
    eight = built.sample({}, ClipNoise(5, torch.arange(8)))
    assert eight.shape == (8, 3, 13, 32, 32) and eight.dtype == torch.float32
    assert torch.equal(built.sample({}, ClipNoise(5, torch.tensor([3])))[0], eight[3])
    assert not torch.equal(built.sample({}, ClipNoise(6, torch.arange(8))), eight)
    assert torch.equal(torch.get_rng_state(), before)
    assert built.trains is False and not list(built.parameters())


def test_noise_is_uniform_over_the_levels() -> None:
    clips = Noise(size=32, frames=16, channels=1).sample({}, ClipNoise(0, torch.arange(16)))
    levels = to_uint8(clips)
    torch.testing.assert_close(levels.float() / 127.5 - 1, clips)  # nothing is lost in rounding
    counts = levels.flatten().long().bincount(minlength=256).double()
    expected = levels.numel() / 256  # 1024
    chi_square = ((counts - expected) ** 2 / expected).sum().item()
    assert 150 < chi_square < 370  # 255 degrees of freedom: mean 255, standard deviation 22.6


def windows(squares: Data, stride: int) -> Tensor:
    """Every clip that the training videos hold, uint8 N C T H W."""
    store = squares().store("train")
    starts = np.arange(int(store.lengths[0]) - 12 * stride)
    frames = starts[:, None] + stride * np.arange(13)
    found = [store.gather(np.full(len(starts), video), frames) for video in range(len(store.lengths))]
    return torch.from_numpy(np.concatenate(found).transpose(0, 4, 1, 2, 3))


def test_copied_clips_are_training_clips_at_the_data_s_stride(squares: Data) -> None:
    copied = to_uint8(build(CopyClip, squares).sample({}, ClipNoise(0, torch.arange(60))))
    all_windows = windows(squares, stride=2)
    matches = [(all_windows == clip).flatten(1).all(1).nonzero().flatten() for clip in copied]
    assert all(len(match) == 1 for match in matches)
    chosen = torch.cat(matches)
    per_video = len(all_windows) // 6
    assert len(set((chosen // per_video).tolist())) == 6  # every video
    assert len(set((chosen % per_video).tolist())) > 8  # of 16 windows


def test_frames_that_are_not_square(squares: Data) -> None:
    assert Noise(size=(8, 4), frames=2).sample({}, ClipNoise(0, torch.arange(3))).shape == (3, 3, 2, 8, 4)
    tall, wide = squares(size=(32, 24), stride=2), squares(size=(24, 32), stride=2)
    built = CopyClip(size=(32, 24), frames=13)
    built.prepare(tall)
    with pytest.raises(BenchError, match=r"init_args.size is 32, but the clips of squares have height 24"):
        built.prepare(wide)


def test_copying_before_there_are_data(squares: Data) -> None:
    with pytest.raises(BenchError, match="prepare"):
        CopyClip().sample({}, ClipNoise(0, torch.arange(1)))


def test_copying_data_of_another_size(squares: Data) -> None:
    with pytest.raises(BenchError, match=r"init_args.size is 64, but the clips of squares have height 32"):
        CopyClip(size=64, frames=13).prepare(squares())
    with pytest.raises(BenchError, match=r"init_args.frames is 16, but the clips of squares have frames 13"):
        CopyClip(size=32, frames=16).prepare(squares())
