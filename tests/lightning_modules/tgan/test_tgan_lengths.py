import pytest
import torch

from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise
from tests.lightning_modules.tgan.test_tgan_module import lively, tiny


def noise(seed: int = 0) -> ClipNoise:
    return ClipNoise(seed, torch.arange(3))


def test_longer_clips_hold_the_frames_of_the_short_ones() -> None:
    model = lively()
    short = model.sample({}, noise())
    with model.at_length(46):
        long = model.sample({}, noise())
        assert model.frames == 46
    assert long.shape[2] == 46 and short.std() > 1e-4
    torch.testing.assert_close(long[:, :, ::3], short, rtol=0, atol=1e-5)
    assert torch.equal(model.sample({}, noise()), short)


@pytest.mark.parametrize(
    ("options", "frames", "message"),
    [
        ({}, 32, r"16 frames and of 31, 46, 61, \.\.\., not of 32"),
        ({}, 1, "not of 1"),
        ({"architecture": "volume"}, 31, "16 frames and of no other length, not of 31"),
    ],
)
def test_lengths_that_cannot_be_made(options: dict[str, str], frames: int, message: str) -> None:
    with pytest.raises(BenchError, match=message), tiny(**options).at_length(frames):
        pass


def test_swapping_nothing_is_sampling() -> None:
    model = lively()
    assert torch.equal(model.swap(noise(), noise()), model.sample({}, noise()))
    other = model.swap(noise(), noise(1))
    assert not torch.equal(other, model.sample({}, noise())) and not torch.equal(other, model.sample({}, noise(1)))
    for options in ({"architecture": "volume"}, {"categories": 2}):
        with pytest.raises(BenchError, match="TGAN has no parts of content and motion"):
            tiny(**options).swap(noise(), noise())
