"""What data, lengths and labels VGAN, TGAN and MoCoGAN refuse, and in which words; and that one clip is enough."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from datamodules.base import ClipData
from datamodules.errors import BenchError
from experiments.cli import main as cli
from experiments.export import export, load_export
from experiments.export import main as export_command
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.mocogan.module import MoCoGAN
from lightning_modules.tgan.module import TGAN
from lightning_modules.vgan.module import VGAN

Data = Callable[..., ClipData]
TrainerFactory = Callable[..., L.Trainer]
LABELLED: dict[str, Any] = {"video_discriminator": "categorical", "use_categories": True}


def vgan(**options: Any) -> VGAN:
    return VGAN(**{"size": 32, "frames": 16, "dim_z": 4, "ngf": 2, "ndf": 2, **options})


def tgan(**options: Any) -> TGAN:
    small = {"size": 32, "dim_slow": 6, "dim_fast": 5, "ngt": 4, "ngf": 1, "ndf": 2}
    return TGAN(**{**small, **options})


def mocogan(**options: Any) -> MoCoGAN:
    return MoCoGAN(**{"size": 32, "frames": 16, "ngf": 2, "ndf": 2, "image_batch": 4, **options})


def labelled_tgan(number: int) -> TGAN:
    return tgan(categories=number)


def labelled_mocogan(number: int) -> MoCoGAN:
    return mocogan(dim_category=number, **LABELLED)


ALL = [vgan, tgan, mocogan]
LEARNERS = [labelled_tgan, labelled_mocogan]


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(("own", "given"), [(3, 1), (1, 3)])
def test_grey_data_for_a_colour_config_and_the_reverse(
    make: Callable[..., Method], own: int, given: int, squares: Data, trainer: TrainerFactory
) -> None:
    data = squares(frames=16)
    data.channels = given
    message = rf"init_args.channels is {own}, but the clips of squares have channels {given}; make them agree"
    with pytest.raises(BenchError, match=message):
        trainer(max_steps=1).fit(make(channels=own), data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vgan(frames=24), "VGAN makes 8 or 16 frames at size 32, found 24 frames"),
        (lambda: tgan(frames=24), "frames is 24, but TGAN makes clips of 16"),
        (lambda: mocogan(frames=9), "frames must be at least 10 .* found 9"),
    ],
)
def test_lengths_that_cannot_be_trained(make: Callable[[], Method], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "frames", "message"),
    [
        (vgan, 32, "VGAN makes clips of 16 frames and of no other length, not 32"),
        (tgan, 32, "TGAN makes clips of 16 frames and of 31, 46, 61, ..., not of 32"),
        (mocogan, 0, "clips of at least one frame, not 0"),
    ],
)
def test_lengths_that_cannot_be_sampled(make: Callable[[], Method], frames: int, message: str) -> None:
    method = make()
    with pytest.raises(BenchError, match=message), method.at_length(frames):
        pass
    assert method.frames == 16


@pytest.mark.parametrize("make", LEARNERS)
def test_more_categories_in_the_data_than_configured(
    make: Callable[[int], Method], squares: Data, trainer: TrainerFactory
) -> None:
    with pytest.raises(BenchError, match=r"is 2, but the categories of squares run from 0 to 2; it must be at least 3"):
        trainer(max_steps=1).fit(make(2), squares(frames=16))


@pytest.mark.parametrize("make", LEARNERS)
def test_data_without_categories(make: Callable[[int], Method], squares: Data, trainer: TrainerFactory) -> None:
    data = squares(frames=16)
    store: Any = data.store("train")
    store.attributes = {}
    with pytest.raises(BenchError, match=r"is 3: the method learns attributes\['category'\], which squares lacks"):
        trainer(max_steps=1).fit(make(3), data)


@pytest.mark.parametrize("make", LEARNERS)
def test_class_folders_in_another_order_than_in_training(
    make: Callable[[int], Any], squares: Data, trainer: TrainerFactory
) -> None:
    data: Any = squares(frames=16)
    data.categories = ["bend", "jack", "wave"]
    module = make(3)
    trainer(max_steps=1).fit(module, data)
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    again = make(3)
    again.on_load_checkpoint(checkpoint)
    again.prepare(data)
    data.categories = ["jack", "bend", "wave"]
    message = "categories of squares are jack, bend, wave, this model learnt bend, jack, wave under the same"
    with pytest.raises(BenchError, match=message):
        again.prepare(data)


@pytest.mark.parametrize("make", [tgan, mocogan])
def test_without_labels_the_order_of_class_folders_means_nothing(make: Callable[[], Any], squares: Data) -> None:
    module, data = make(), squares(frames=16)
    module.category_names = ["bend", "jack"]
    data.categories = ["jack", "bend"]  # type: ignore[attr-defined]
    module.prepare(data)


@pytest.mark.parametrize(
    ("batch", "found"),
    [
        ({}, "none"),
        ({"attributes": {}}, "none"),
        ({"attributes": {"category": torch.tensor([0, 3])}}, "0 to 3"),
        ({"attributes": {"category": torch.tensor([-1, 0])}}, "-1 to 0"),
    ],
)
def test_categories_that_tgan_cannot_show(batch: Any, found: str) -> None:
    with pytest.raises(BenchError, match=f"categories 0 to 2 that attributes.* asks for, found {found}: sample with"):
        labelled_tgan(3).eval().sample(batch, ClipNoise(0, torch.arange(2)))


@pytest.mark.parametrize("make", [vgan, mocogan, lambda: labelled_mocogan(3)])
def test_a_batch_of_one_clip_trains(make: Callable[[], Any], squares: Data, trainer: TrainerFactory) -> None:
    module = make()
    if isinstance(module, MoCoGAN):
        module.image_batch = 1
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    run = trainer(max_steps=1)
    run.fit(module, squares(frames=16, batch_size=1))
    assert all(value.isfinite() for value in run.callback_metrics.values())
    moved = {name for name, p in module.named_parameters() if not torch.equal(p, before[name])}
    assert moved == set(before)
    assert module.eval().sample({}, ClipNoise(0, torch.arange(1))).shape == (1, 3, 16, 32, 32)


def test_a_batch_of_one_clip_is_refused_by_tgan(squares: Data, trainer: TrainerFactory) -> None:
    with pytest.raises(BenchError, match=r"batch_size is 1 on 1 processes; TGAN's .* needs at least 2 clips on each"):
        trainer(max_steps=1).fit(tgan(), squares(frames=16, batch_size=1))


def test_names_of_the_categories_travel_with_an_export(tmp_path: Path) -> None:
    """A run on data without names, whose checkpoint is then given some."""
    argv = ["fit", "--config", "method/tgan_conditional_cpu", "--model.ngt", "4", "--model.ngf", "1"]
    argv += ["--model.ndf", "2", "--trainer.max_steps", "1", "--wandb.enabled", "false", "--runs", str(tmp_path)]
    assert cli(argv) == 0
    (run,) = tmp_path.glob("tgan_conditional_cpu-*")
    assert export_command([str(run), "-o", str(tmp_path / "plain.safetensors")]) == 0
    assert "category_names" not in load_export(tmp_path / "plain.safetensors")[1]
    last = run / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    checkpoint["category_names"] = ["jack", "bend"]
    torch.save(checkpoint, last)
    export(run, tmp_path / "named.safetensors")
    method: Any = load_export(tmp_path / "named.safetensors")[0]
    assert method.category_names == ["jack", "bend"]
