"""Contents with motions: the shares of variance are known where the clips are made by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.jsonfile import read_json
from datamodules.media import read_video
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.mocogan.module import MoCoGAN
from lightning_modules.swap import colour_and_path, shares, swapped, write_swap
from lightning_modules.vgan.module import VGAN


def test_shares_of_an_additive_grid() -> None:
    """x_ij = a_i + b_j: the sums of squares are those of a and b."""
    a, b = torch.tensor([1.0, -1.0]), torch.tensor([3.0, 0.0, -3.0])
    x = (a[:, None] + b)[..., None]
    of_a, of_b = 3 * 2.0, 2 * 18.0
    assert shares(x) == pytest.approx({"content": of_a / 42, "motion": of_b / 42, "both": 0}, abs=1e-12)


def test_shares_of_a_grid_without_main_effects() -> None:
    x = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])[..., None]
    assert shares(x) == {"content": 0, "motion": 0, "both": 1}
    assert shares(torch.ones(2, 3, 4)) == {}


def test_shares_agree_with_the_analysis_of_variance() -> None:
    """Against sums of squares written out, over several dimensions."""
    x = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0)).double().numpy()
    mean, rows, columns = x.mean((0, 1)), x.mean(1), x.mean(0)
    total = sum(((x[i, j] - mean) ** 2).sum() for i in range(4) for j in range(5))
    of_rows = sum(5 * ((rows[i] - mean) ** 2).sum() for i in range(4))
    of_columns = sum(4 * ((columns[j] - mean) ** 2).sum() for j in range(5))
    rest = sum(((x[i, j] - rows[i] - columns[j] + mean) ** 2).sum() for i in range(4) for j in range(5))
    expected = {"content": of_rows / total, "motion": of_columns / total, "both": rest / total}
    assert shares(torch.from_numpy(x)) == pytest.approx(expected, rel=1e-9)


class Dots(Method):
    """A pixel whose colour is the content's and whose path is the motion's."""

    frames = 4

    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        return self.swap(noise, noise)

    def swap(self, content: ClipNoise, motion: ClipNoise) -> Tensor:
        clips = -torch.ones(len(content), 3, 4, 8, 8)
        colours, starts = content.uniform(3), motion.integers(5)
        for i in range(len(content)):
            for t in range(4):
                clips[i, :, t, 6, int(starts[i]) + t] = 0.2 + 0.8 * colours[i]
        return clips


def test_a_perfect_split(tmp_path: Path) -> None:
    told = write_swap(Dots(), tmp_path, n=4, seed=0)
    assert told["colour"] == pytest.approx({"content": 1, "motion": 0, "both": 0}, abs=1e-9)
    assert told["path"] == pytest.approx({"content": 0, "motion": 1, "both": 0}, abs=1e-9)
    assert told["missing"] == 0 and read_json(tmp_path / "swap.json") == told
    assert (tmp_path / "swap.png").stat().st_size > 0 and read_video(tmp_path / "swap.mp4").shape[0] == 4


def test_colour_and_path_by_hand() -> None:
    clips = torch.zeros(1, 3, 3, 4, 6, dtype=torch.uint8)
    clips[0, 0, 0, 1, 2] = 100
    clips[0, 1, 2, 3, 4:6] = 200  # the middle frame is black
    colour, path, missing = colour_and_path(clips)
    assert missing == 1 and colour[0].tolist() == [50, 100, 0]
    assert path[0].tolist() == [1, 2, 2, 3.25, 3, 4.5]


def mocogan() -> MoCoGAN:
    torch.manual_seed(0)
    model = MoCoGAN(size=32, frames=13, ngf=2, ndf=2, dim_content=6, dim_motion=4, dim_category=2)
    with torch.no_grad():
        for _ in range(20):
            model.fake_clips(8)
    return model.eval()


def vgan() -> VGAN:
    torch.manual_seed(0)
    model = VGAN(size=8, frames=4, ngf=2, ndf=2, dim_z=3)
    for p in model.generator.parameters():
        torch.nn.init.normal_(p)
    return model.eval()


@pytest.mark.parametrize("build", [mocogan, vgan])
def test_swapping_nothing_is_sampling(build: type[Method]) -> None:
    model, noise = build(), [ClipNoise(0, torch.arange(3)) for _ in range(3)]
    assert torch.equal(model.swap(noise[0], noise[1]), model.sample({}, noise[2]))
    other = model.swap(ClipNoise(0, torch.arange(3)), ClipNoise(1, torch.arange(3)))
    assert not torch.equal(other, model.sample({}, ClipNoise(0, torch.arange(3))))
    assert not torch.equal(other, model.sample({}, ClipNoise(1, torch.arange(3))))


def test_rows_share_their_content_and_columns_their_motion() -> None:
    clips = swapped(Dots(), 3, seed=0).numpy()
    colours = clips.max((3, 4, 5))  # n n C
    paths = clips.max(2).argmax(-1)  # n n T H
    assert all(np.array_equal(colours[i, 0], colours[i, j]) for i in range(3) for j in range(3))
    assert all(np.array_equal(paths[0, j], paths[i, j]) for i in range(3) for j in range(3))
    assert not np.array_equal(colours[0, 0], colours[1, 0])


def test_what_cannot_be_swapped(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="at least 2 contents and motions"):
        write_swap(Dots(), tmp_path, n=1)
    one = VGAN(size=8, frames=4, ngf=1, ndf=1, dim_z=2, streams="one")
    with pytest.raises(BenchError, match="VGAN has no parts of content and motion"):
        write_swap(one, tmp_path, n=2)
