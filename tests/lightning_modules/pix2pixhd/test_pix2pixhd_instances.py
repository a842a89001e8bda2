"""Outlines, means over objects, and appearances to choose from: known answers."""

from typing import Any

import pytest
import torch

from lightning_modules.contract import ClipNoise
from lightning_modules.pix2pixhd.clusters import ClusterBank, classes_of, object_features
from lightning_modules.pix2pixhd.instances import edges, pool, ranks
from tests.helpers.pix2pixhd_step import a_batch, small


def test_outline_lies_on_both_sides_of_a_border() -> None:
    objects = torch.zeros(1, 4, 5, dtype=torch.int64)
    objects[0, 1:3, 2] = 7
    drawn = ["00100", "01110", "01110", "00100"]
    expected = torch.tensor([[int(pixel) for pixel in row] for row in drawn]).float()
    assert torch.equal(edges(objects)[0, 0], expected)


def test_ranks_count_objects_of_each_row_apart() -> None:
    numbers = torch.tensor([[26001, 7, 26001, 8], [3, 3, 3, 3]])
    assert ranks(numbers).tolist() == [[2, 0, 2, 1], [0, 0, 0, 0]]


def test_each_object_takes_its_own_mean() -> None:
    rng = torch.Generator().manual_seed(0)
    maps = torch.rand(3, 2, 6, 8, generator=rng)
    objects = torch.randint(0, 4, (3, 6, 8), generator=rng) * 1000 + 24
    pooled = pool(maps, objects)
    for image in range(3):
        for number in objects[image].unique():
            inside = objects[image] == number
            for channel in range(2):
                mean = maps[image, channel][inside].mean()
                torch.testing.assert_close(pooled[image, channel][inside], mean.expand(int(inside.sum())))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32])
def test_maps_of_8_bits_are_numbers_too(kind: torch.dtype) -> None:
    # Officially an 8-bit map becomes numbers in [0, 1], which as integers are all 0 or 1.
    objects = torch.tensor([[[3, 3, 200], [3, 90, 200]]]) if kind == torch.uint8 else torch.tensor([[[3, 3, 26001]]])
    whole = objects.to(kind).long()
    assert torch.equal(whole, objects)
    maps = torch.rand(1, 1, *objects.shape[1:])
    assert torch.equal(pool(maps, whole), pool(maps, objects))
    assert len(pool(maps, whole).unique()) == len(objects.unique())


def test_class_of_an_object() -> None:
    assert classes_of(torch.tensor([0, 7, 999, 1000, 26001, 33999])).tolist() == [0, 7, 999, 1, 26, 33]


def test_small_objects_do_not_count() -> None:
    objects = torch.zeros(1, 8, 16, dtype=torch.int64)
    objects[0, 0, :2] = 5  # 2 of 128 pixels, a 64th
    objects[0, 4, :3] = 26001
    maps = torch.zeros(1, 1, 8, 16)
    maps[0, 0, 4, :3] = 0.5
    features, classes = object_features(maps, objects)
    assert dict(zip(classes.tolist(), features[:, 0].tolist(), strict=True)) == {0: 0.0, 26: 0.5}


def test_clusters_are_found_by_class() -> None:
    bank = ClusterBank(3, clusters=4, features=2)
    rng = torch.Generator().manual_seed(0)
    centres = torch.tensor([[-1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    near = centres.repeat_interleave(20, 0) + 0.01 * torch.randn(80, 2, generator=rng)
    alone = torch.tensor([[0.3, 0.4]]).expand(5, 2)
    bank.fit(torch.cat([near, alone]), torch.cat([torch.full((80,), 2), torch.zeros(5)]).long())
    assert bank.counts.tolist() == [1, 0, 4]
    torch.testing.assert_close(bank.centres[0, 0], alone[0])
    found = bank.centres[2][bank.centres[2].norm(dim=1).argsort()]
    distances = torch.cdist(found, centres).min(1)
    assert distances.values.max() < 0.02 and sorted(distances.indices.tolist()) == [0, 1, 2, 3]


def test_an_object_keeps_its_appearance_in_all_frames_and_objects_have_their_own() -> None:
    bank = ClusterBank(3, clusters=4, features=1)
    bank.centres[:] = torch.arange(12.0).reshape(3, 4, 1) + 1
    bank.counts[:] = torch.tensor([4, 4, 0])
    objects = torch.zeros(6, 2, 4, 4, dtype=torch.int64)  # B T H W
    objects[:, 0, 0] = 1001
    objects[:, 1, 3] = 1001  # it moves
    objects[:, :, 1, :2] = 1002
    objects[:, :, 1, 2:] = 2001  # a class that nothing is known of
    drawn = bank.draw(objects, ClipNoise(0, torch.arange(6)))[:, :, 0]  # B T H W
    for clip in range(6):
        for number, low in ((0, 1), (1001, 5), (1002, 5)):
            seen = drawn[clip][objects[clip] == number].unique()
            assert len(seen) == 1 and low <= seen[0] < low + 4
    assert (drawn[objects == 2001] == 0).all()
    assert len({tuple(drawn[clip].flatten().tolist()) for clip in range(6)}) > 1
    again = bank.draw(objects[2:3], ClipNoise(0, torch.tensor([2])))[:, :, 0]
    assert torch.equal(again[0], drawn[2])


def test_features_decide_the_picture() -> None:
    method = small(feat_num=2, nef=4, n_downsample_E=2).eval()
    bank = method.generator.bank
    assert bank is not None
    bank.counts[:] = 2
    bank.centres[:] = torch.tensor([[-1.0, -1.0], [1.0, 1.0]] + [[0.0, 0.0]] * 8)
    batch: Any = a_batch(clips=1, frames=2)
    one, other = (method.sample(batch, ClipNoise(seed, torch.zeros(1))) for seed in (0, 1))
    assert one.shape == (1, 3, 2, 32, 32)
    assert (one - other).abs().max() > 1e-3
