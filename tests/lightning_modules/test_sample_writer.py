import copy
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from datamodules.errors import BenchError
from datamodules.media import contact_sheet, read_video
from lightning_modules import preempt
from lightning_modules.callbacks.ema import GeneratorEMA, sampling_weights
from lightning_modules.callbacks.preempt import Preempt
from lightning_modules.callbacks.sample_writer import SampleWriter, write_samples
from lightning_modules.contract import ClipNoise
from metrics.base import to_uint8
from tests.helpers.reelbench_toys import ToyData, ToyGAN
from tests.helpers.toy_fit import fit_toy


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def sampled(generator: nn.Module, n: int, seed: int = 0) -> np.ndarray:
    """The clips that must be in the files, drawn by hand: N T H W C."""
    noise = ClipNoise(seed, torch.arange(n)).normal(8)
    with torch.no_grad():
        return to_uint8(copy.deepcopy(generator).eval()(noise)).permute(0, 2, 3, 4, 1).numpy()


def test_writes_at_its_steps_with_the_averaged_weights(tmp_path: Path) -> None:
    method, ema = ToyGAN(), GeneratorEMA(0.5)
    fit_toy(tmp_path, [ema, SampleWriter(every=2, n=10, lossless=True)], 5, method)
    samples = tmp_path / "samples"
    assert names(samples) == ["real", "step-00000002", "step-00000004"]
    clips = [f"{i:05d}.{kind}" for i in range(10) for kind in ("mkv", "mp4")]
    assert names(samples / "step-00000004") == [*clips, "contact.png"]
    assert names(samples / "real") == [*clips, "contact.png"]
    assert method.generator.training  # as it was


def test_the_files_hold_the_clips(tmp_path: Path) -> None:
    method, ema = ToyGAN(), GeneratorEMA(0.5)
    fit_toy(tmp_path, [ema, SampleWriter(every=4, n=10, lossless=True)], 4, method)
    assert ema.shadow is not None
    wanted = sampled(ema.shadow, 10)
    folder = tmp_path / "samples" / "step-00000004"
    read = np.stack([read_video(folder / f"{i:05d}.mkv") for i in range(10)])
    assert np.abs(read.astype(int) - wanted).max() <= 1  # batches of 8 and 2 round apart from one of 10
    assert not np.array_equal(read, sampled(method.generator, 10))
    with Image.open(folder / "contact.png") as sheet:
        assert np.array_equal(np.asarray(sheet), contact_sheet(read, rows=8))
    shown = read_video(folder / "00003.mp4")
    assert shown.shape == (4, 128, 128, 3)
    large = wanted[3].repeat(16, axis=1).repeat(16, axis=2)
    assert np.abs(shown.astype(int) - large).mean() < 3
    data = ToyData()
    real = data.eval_batch("val", range(10), 4, 1, 0)["video"].permute(0, 2, 3, 4, 1).numpy()
    assert np.array_equal(np.stack([read_video(tmp_path / f"samples/real/{i:05d}.mkv") for i in range(10)]), real)


def test_off_by_default_and_before_its_step(tmp_path: Path) -> None:
    fit_toy(tmp_path, [SampleWriter()], 3, ToyGAN())
    fit_toy(tmp_path, [SampleWriter(every=4)], 3, ToyGAN())
    assert not (tmp_path / "samples").exists()


def test_training_is_not_disturbed(tmp_path: Path) -> None:
    plain, writing = ToyGAN(), ToyGAN()
    writing.load_state_dict(plain.state_dict())
    fit_toy(tmp_path, [], 4, plain)
    fit_toy(tmp_path, [SampleWriter(every=1, n=2)], 4, writing)
    assert all(torch.equal(v, writing.state_dict()[k]) for k, v in plain.state_dict().items())
    assert len(names(tmp_path / "samples")) == 5


@pytest.fixture
def asked_to_stop() -> Iterator[None]:
    preempt.request()
    yield
    preempt.clear()


def test_a_stopping_run_writes_nothing_and_makes_it_up(tmp_path: Path, asked_to_stop: None) -> None:
    class Stop(Preempt):
        """Stands in front of the writer, and stops as `Checkpoint` does."""

        def on_train_batch_end(
            self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
        ) -> None:
            trainer.should_stop = self.check(trainer)

    method = ToyGAN()
    trainer = fit_toy(tmp_path, [Stop(), SampleWriter(every=1, n=2)], 6, method)
    assert trainer.global_step == 1
    assert not (tmp_path / "samples").exists()
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    preempt.clear()
    generator = copy.deepcopy(method.generator)
    fit_toy(tmp_path, [SampleWriter(every=1, n=2, lossless=True)], 2, method, resume=tmp_path / "last.ckpt")
    assert names(tmp_path / "samples") == ["real", "step-00000001", "step-00000002"]
    assert np.array_equal(read_video(tmp_path / "samples/step-00000001/00001.mkv"), sampled(generator, 2)[1])


def write(trainer: L.Trainer, method: ToyGAN, folder: Path, n: int, seed: int = 0) -> None:
    with sampling_weights(trainer, method):
        write_samples(trainer, method, folder, n=n, seed=seed, lossless=True)


def test_write_samples_by_hand(tmp_path: Path) -> None:
    method = ToyGAN()
    trainer = fit_toy(tmp_path, [], 2, method)
    write(trainer, method, tmp_path / "a", n=11)
    write(trainer, method, tmp_path / "b", n=3)
    write(trainer, method, tmp_path / "c", n=3, seed=1)
    a, b, c = (read_video(tmp_path / f"{x}/00002.mkv") for x in "abc")
    assert np.abs(a.astype(int) - b).max() <= 1  # clip 2 whatever n, to rounding
    assert np.abs(b.astype(int) - c).max() > 20
    assert names(tmp_path / "b" / "real")[-1] == "contact.png"
    write(trainer, method, tmp_path / "a", n=2)
    assert names(tmp_path / "a") == ["00000.mkv", "00000.mp4", "00001.mkv", "00001.mp4", "contact.png", "real"]
    assert len(names(tmp_path / "a" / "real")) == 5


def test_a_folder_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    method = ToyGAN()
    trainer = fit_toy(tmp_path, [], 1, method)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "00000.mp4").write_text("dear")
    (tmp_path / "mine" / "holiday.mp4").write_text("dear")
    with pytest.raises(BenchError, match=r"mine holds other files, such as holiday\.mp4"):
        write(trainer, method, tmp_path / "mine", n=2)
    assert (tmp_path / "mine" / "00000.mp4").read_text() == "dear"


def test_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"samples\.every must be at least 0, found -1"):
        SampleWriter(every=-1)
    with pytest.raises(BenchError, match=r"samples\.n must be at least 1, found 0"):
        SampleWriter(n=0)
    with pytest.raises(BenchError, match=r"samples\.fps must be at least 1, found 0"):
        SampleWriter(fps=0)
    method = ToyGAN()
    trainer = fit_toy(tmp_path, [], 1, method)
    with pytest.raises(BenchError, match="n must be at least 1 clip, found 0"):
        write(trainer, method, tmp_path / "a", n=0)
