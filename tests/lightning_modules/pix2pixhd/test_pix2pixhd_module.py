"""Sizes, inputs that are refused, sampling."""

from typing import Any

import pytest
import torch

from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise
from lightning_modules.pix2pixhd.discriminator import MultiscaleDiscriminator
from lightning_modules.pix2pixhd.module import Pix2PixHD
from lightning_modules.pix2pixhd.networks import GlobalGenerator, LocalEnhancer, reduce
from tests.helpers.pix2pixhd_step import a_batch, small, train


def test_official_numbers_of_parameters() -> None:
    with torch.device("meta"):
        networks = {
            182_546_755: GlobalGenerator(36, 3, 64, 4, 9),
            182_857_059: LocalEnhancer(36, 3, 32, 4, 9, 1, 3),
            5_603_202: MultiscaleDiscriminator(39, 64, 3, 2),
            8_404_803: MultiscaleDiscriminator(39, 64, 3, 3),
            788_803: GlobalGenerator(3, 3, 16, 4, 0),
        }
        whole = Pix2PixHD()
    for count, network in networks.items():
        assert sum(p.numel() for p in network.parameters()) == count
    assert sum(p.numel() for p in whole.parameters()) == 182_546_755 + 5_603_202


def test_two_enhancers_double_the_size_twice() -> None:
    torch.manual_seed(0)
    network = LocalEnhancer(3, 3, 2, 1, 1, 2, 1)
    x = torch.rand(1, 3, 16, 24)
    assert network.model(reduce(reduce(x))).shape == (1, 8, 4, 6)
    assert network(x).shape == x.shape


def test_each_frame_is_made_from_its_own_condition() -> None:
    method = small(frames_at_once=3).eval()
    batch: Any = a_batch(clips=2, frames=4)
    whole = method.sample(batch, ClipNoise(0, batch["index"]))
    assert whole.shape == (2, 3, 4, 32, 32)
    for frame in range(4):
        alone = {key: batch[key][:, frame : frame + 1] for key in ("labels", "instances")}
        one = method.sample(alone, ClipNoise(0, batch["index"]))  # type: ignore[arg-type]
        torch.testing.assert_close(one[:, :, 0], whole[:, :, frame], rtol=0, atol=1e-5)
    assert (whole[:, :, 0] - whole[:, :, 1]).abs().max() > 1e-2


def test_the_first_stage_shows_what_it_has_trained() -> None:
    method = small(n_local_enhancers=1, n_blocks_local=1, ngf=2, global_steps=2)
    batch: Any = a_batch(clips=1)

    def drawn() -> torch.Tensor:
        return method.sample(batch, ClipNoise(0, batch["index"]))[:, :, 0]

    images = {key: batch[key][:, 0] for key in ("labels", "instances")}
    x = method.condition(images)
    coarse = method.generator(method.generator.coarse_size(x), "global")
    assert coarse.shape == (1, 3, 16, 16)
    shown = drawn()
    assert shown.shape == (1, 3, 32, 32)
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(shown, 2).mean(), coarse.mean(), atol=1e-2, rtol=0)
    train(method, 2, clips=1)
    torch.testing.assert_close(drawn(), method.generator(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 36}, "size must be a multiple of 8 for 3 halvings, and at least 16, found 36"),
        ({"size": (32, 20)}, r"multiple of 8 .* found \(32, 20\)"),
        ({"size": 8}, "and at least 16, found 8"),
        ({"n_local_enhancers": 1, "size": 24}, "multiple of 16 for 4 halvings"),
        ({"feat_num": 2, "n_downsample_E": 5}, "multiple of 32 for 5 halvings"),
        ({"label_nc": 0, "condition_nc": 0}, "label_nc is 0 and condition_nc 0"),
        ({"fix_global_steps": 5}, "set n_local_enhancers"),
    ],
)
def test_arguments_that_make_no_network(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        small(**{"size": 24, "n_downsample_global": 3, **options})


def test_the_smallest_size_is_trained_and_sampled() -> None:
    method = small(size=8, num_D=3)
    train(method, 1, size=8)
    batch: Any = a_batch(size=8)
    assert method.sample(batch, ClipNoise(0, batch["index"])).shape == (2, 3, 1, 8, 8)


def spoilt(**changes: Any) -> Any:
    return {**a_batch(clips=2, frames=3), **changes}


def test_a_class_beyond_the_last_is_named_with_its_clip() -> None:
    batch = spoilt()
    batch["labels"][1, 2, 5, 5] = 255
    method = small()
    with pytest.raises(BenchError, match=r"video1\[0:3\]: labels 255 found, but .*label_nc is 4.* 0 to 3"):
        method.on_before_batch_transfer(batch, 0)
    with pytest.raises(BenchError, match=r"video1\[0:3\]: labels 255"):
        method.sample(batch, ClipNoise(0, batch["index"]))
    batch["labels"][1, 2, 5, 5] = -1
    with pytest.raises(BenchError, match="labels -1 found"):
        method.on_before_batch_transfer(batch, 0)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"labels": torch.zeros(2, 2, 32, 32).long()}, {}, "differs in frames: video 3, labels 2, instances 3"),
        ({"condition": torch.zeros(2, 3, 4, 32, 32)}, {"label_nc": 0}, "differs in frames: .*condition 4"),
        ({"instances": torch.zeros(2, 3, 16, 32).long()}, {}, r"differs in size: .*instances \(16, 32\)"),
        ({"condition": torch.zeros(2, 1, 3, 32, 32)}, {"label_nc": 0}, "1 channels, but .*condition_nc is 3"),
        ({"instances": torch.rand(2, 3, 32, 32)}, {}, r"instances are torch.float32; .* integers"),
    ],
)
def test_batches_that_do_not_fit(changes: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        small(**options).on_before_batch_transfer(spoilt(**changes), 0)


def test_training_stops_at_a_wrong_class(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match="labels 4 found"):
        train(small(), 1, classes=5)


def test_data_with_more_classes_are_refused_before_the_first_step() -> None:
    data: Any = type("Data", (), {"name": "street", "height": 32, "width": 32, "channels": 3, "classes": 6})()
    with pytest.raises(BenchError, match="label_nc is 4, but street has 6 classes"):
        small().check_data(data)
    data.classes, data.width = 4, 64
    with pytest.raises(BenchError, match="size is 32, but the clips of street have width 64"):
        small().check_data(data)


def test_needs() -> None:
    assert Pix2PixHD.needs() == {"video", "labels", "instances"}
    assert Pix2PixHD.needs(instances=False) == {"video", "labels"}
    assert Pix2PixHD.needs(label_nc=0, instances=False) == {"video", "condition"}
    assert Pix2PixHD.needs(label_nc=0, instances=False, feat_num=3) == {"video", "condition", "instances"}
