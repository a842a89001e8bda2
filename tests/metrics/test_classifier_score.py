from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.synthetic.shape_motion import ShapeMotion
from lightning_modules.contract import ClipNoise
from lightning_modules.mocogan.module import MoCoGAN
from metrics.classifier_score import MotionControlScore
from metrics.features.random import RandomFeatures
from metrics.protocol import ProtocolSettings
from tests.metrics.array_data import ArrayData, noise_clips, numbered
from tests.metrics.test_entropies import Table, clips_of

SURE = Table(torch.eye(4))


def labelled(**batch: list[int]) -> VideoBatch:
    known = {key: {"category": torch.tensor(numbers)} for key, numbers in batch.items()}
    return {**numbered(*range(len(next(iter(batch.values()))))), **known}  # type: ignore[typeddict-item]


def test_share_of_clips_that_show_what_was_asked_for() -> None:
    metric = MotionControlScore(SURE)
    metric.update(clips_of(0, 1, 2, 3), None, labelled(requested=[0, 1, 2, 0], attributes=[3, 3, 3, 3]))
    metric.update(None, clips_of(0, 1, 2), labelled(requested=[3, 3, 3], attributes=[0, 2, 3]))
    result = metric.result()
    assert result.value == 0.75 and result.standard_error == pytest.approx((3 / 16 / 3) ** 0.5)
    assert result.note.startswith("real clips: 0.3333")
    assert (result.n_fake, result.n_real) == (4, 3)
    assert metric.name == "mcs[table]" and "argmax = requested category" in result.fingerprint


def test_a_method_that_was_asked_for_nothing_has_no_score() -> None:
    metric = MotionControlScore(SURE)
    for requested in ({}, {"subject": torch.tensor([0, 1])}):
        batch: VideoBatch = {**numbered(0, 1), "attributes": {"category": torch.tensor([0, 1])}, "requested": requested}
        metric.update(clips_of(0, 1), None, batch)
    assert metric.result().value is None
    assert metric.result().note == "2 of 2 clips were not asked for a category"
    metric.update(None, clips_of(0, 1), {**numbered(0, 1), "attributes": {"category": torch.tensor([0, 1])}})
    assert metric.result().note == "2 of 2 clips were not asked for a category; real clips: 1 +- 0"


@pytest.mark.parametrize("category", [[0, 4], [-1, 0], [0]])
def test_numbers_beyond_the_classes(category: list[int]) -> None:
    batch: VideoBatch = {**numbered(0, 1), "attributes": {}, "requested": {"category": torch.tensor(category)}}
    with pytest.raises(BenchError, match=r"category must be 2 numbers in 0..3, the classes of table; found"):
        MotionControlScore(SURE).update(clips_of(0, 1), None, batch)


def test_data_without_labels_are_refused_before_sampling() -> None:
    clips = noise_clips(0, 4, 3, 4, 16, 16)
    data = ArrayData(val=clips)
    with pytest.raises(BenchError, match="needs the attribute category; arrays gives none"):
        MotionControlScore(SURE).prepare(data, ProtocolSettings().resolve(data))
    shapes = ShapeMotion(frames=4)
    MotionControlScore(SURE).prepare(shapes, ProtocolSettings().resolve(shapes))
    with pytest.raises(BenchError, match="level frame"):
        MotionControlScore(RandomFeatures("frame"))


class Spy(torch.nn.Module):
    """Keeps the category codes that a generator is given."""

    def __init__(self, generator: torch.nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("generator"), name)

    def forward(self, h0: Tensor, e: Tensor, content: Tensor, category: Tensor) -> Tensor:
        self.seen = category
        return self.generator(h0, e, content, category)


@pytest.mark.parametrize("labels", [True, False])
def test_mocogan_says_which_category_it_draws(labels: bool) -> None:
    method = MoCoGAN(
        size=32,
        ngf=4,
        ndf=4,
        dim_category=5,
        video_discriminator="categorical",
        use_infogan=True,
        use_categories=labels,
    )
    batch = numbered(3, 0, 7, 11, 4)
    asked = method.requested(batch, ClipNoise(9, batch["index"]))
    if not labels:
        assert asked == {}  # z_A's numbers are not the data's
        return
    spy = Spy(method.generator)
    method.generator = spy  # type: ignore[assignment]
    method.sample(batch, ClipNoise(9, batch["index"]))
    assert asked["category"].tolist() == spy.seen.argmax(dim=1).tolist()
    assert len(set(asked["category"].tolist())) > 1
