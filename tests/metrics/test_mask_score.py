import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.pose.maps import pg2_mask
from metrics.features.random import RandomFeatures
from metrics.frechet import FrechetDistance
from metrics.mask_score import MaskSSIM
from metrics.masked import Masked, masked
from metrics.pixel import SSIM
from metrics.protocol import ProtocolSettings
from metrics.uniform_ssim import uniform_ssim_map
from tests.metrics.array_data import ArrayData, noise_clips, numbered


def soft_masks(seed: int, count: int, frames: int, size: int) -> Tensor:
    """uint8 B 1 T H W: 0, 255 and all between."""
    rng = torch.Generator().manual_seed(seed)
    return (torch.randint(-200, 500, (count, 1, frames, size, size), generator=rng)).clamp(0, 255).to(torch.uint8)


def with_mask(mask: Tensor) -> VideoBatch:
    return {**numbered(*range(len(mask))), "mask": mask.float() / 255}


def pair(seed: int = 0) -> tuple[Tensor, Tensor]:
    real = noise_clips(seed, 3, 3, 2, 24, 20)
    noise = torch.randint(-40, 41, real.shape, generator=torch.Generator().manual_seed(seed + 1))
    return (real.int() + noise).clamp(0, 255).to(torch.uint8), real


def scored(metric: MaskSSIM, fake: Tensor, real: Tensor, batch: VideoBatch) -> MaskSSIM:
    metric.update(fake, real, batch)
    return metric


def test_map_and_mean_equal_skimage_with_its_defaults() -> None:
    fake, real = pair()
    found = uniform_ssim_map(fake, real)
    assert found.shape == (3, 3, 2, 18, 14)
    for b in range(3):
        for t in range(2):
            x, y = (clip[b, :, t].permute(1, 2, 0).numpy() for clip in (fake, real))
            mean, full = structural_similarity(x, y, channel_axis=2, full=True)
            np.testing.assert_allclose(found[b, :, t].permute(1, 2, 0), full[3:-3, 3:-3], atol=1e-11)
            assert float(found[b, :, t].mean()) == pytest.approx(mean, abs=1e-12)


def test_masking_is_that_of_the_official_code_for_every_level_and_mask() -> None:
    level, share = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    expected = (level * (share / 255.0)).astype(np.uint8)
    clips = torch.from_numpy(level).to(torch.uint8)[None, None, None].expand(1, 3, 1, -1, -1)
    travelled = torch.from_numpy(share).to(torch.float32).div(255)[None, None, None]  # as `to_float` widens it
    found = masked("x", clips, travelled)
    assert (found[0, 0, 0].numpy() == expected).all() and torch.equal(found[:, 0], found[:, 2])


def test_frame_region_equals_the_official_recipe() -> None:
    (fake, real), mask = pair(), torch.cat([soft_masks(0, 3, 2, 24)[..., :20]])
    values = []
    for b in range(3):
        for t in range(2):
            share = mask[b, 0, t].numpy()[..., None] / 255.0
            x, y = ((clip[b, :, t].permute(1, 2, 0).numpy() * share).astype(np.uint8) for clip in (fake, real))
            values.append(structural_similarity(x, y, channel_axis=2))
    result = scored(MaskSSIM(), fake, real, with_mask(mask)).result()
    assert result.value == pytest.approx(np.mean(values), abs=1e-6)
    assert result.note == "" and (result.n_fake, result.n_real) == (3, 3)


def test_mask_region_averages_the_map_inside() -> None:
    fake, real = pair()
    mask = torch.zeros(3, 1, 2, 24, 20, dtype=torch.uint8)
    mask[..., 5:15, 4:12] = 255
    x, y = (clip * (mask > 0) for clip in (fake, real))
    values = []
    for b in range(3):
        for t in range(2):
            frames = (clip[b, :, t].permute(1, 2, 0).numpy() for clip in (x, y))
            full = structural_similarity(*frames, channel_axis=2, full=True)[1]
            values.append(full[5:15, 4:12].mean())
    inside = scored(MaskSSIM("mask"), fake, real, with_mask(mask)).result()
    assert inside.value == pytest.approx(np.mean(values), abs=1e-6)
    whole = scored(MaskSSIM(), fake, real, with_mask(mask)).result()
    assert whole.value is not None and inside.value is not None and whole.value > inside.value + 0.03
    assert whole.fingerprint != inside.fingerprint
    assert (MaskSSIM().name, MaskSSIM("mask").name) == ("mask_ssim", "mask_ssim_inside")


def test_empty_masks_are_counted() -> None:
    fake, real = pair()
    mask = torch.full((3, 1, 2, 24, 20), 255, dtype=torch.uint8)
    mask[0, :, 1] = 0
    mask[2] = 0
    one = scored(MaskSSIM("mask"), fake[:1, :, :1], real[:1, :, :1], with_mask(mask[:1, :, :1])).result().value
    other = scored(MaskSSIM("mask"), fake[1:2], real[1:2], with_mask(mask[1:2])).result().value
    assert one is not None and other is not None
    result = scored(MaskSSIM("mask"), fake, real, with_mask(mask)).result()
    assert result.value == pytest.approx((one + other) / 2)
    assert result.note == "1 of 3 clips have an empty mask in all frames; 3 frames with an empty mask are left out"
    assert result.n_fake == 3
    whole = scored(MaskSSIM(), fake, real, with_mask(mask)).result()
    assert whole.value == pytest.approx(((one + 1) / 2 + other + 1) / 3)  # all of a full mask is the whole frame
    assert whole.note == "3 frames with an empty mask count as 1"
    nothing = scored(MaskSSIM("mask"), fake, real, with_mask(0 * mask)).result()
    assert nothing.value is None


def test_the_mask_of_the_source_picture() -> None:
    fake, real = pair()
    pose = torch.zeros(3, 1, 18, 3)
    pose[:, 0, 1:6] = torch.tensor([[10.0, 4, 1], [6, 6, 1], [4, 12, 1], [5, 18, 1], [15, 6, 1]])
    drawn = pg2_mask(pose[:, 0], 24, 20)[:, None, None].expand(-1, 1, 2, -1, -1) * 255
    of_source = MaskSSIM(of="source")
    assert of_source.needs == {"source_pose"}
    of_source.update(fake, real, {**numbered(0, 1, 2), "source_pose": pose})
    same = scored(MaskSSIM(), fake, real, with_mask(drawn)).result()
    assert of_source.result().value == same.value and of_source.fingerprint != same.fingerprint
    with pytest.raises(BenchError, match=r"must be B P 18 3, found \(3, 1, 25, 3\)"):
        MaskSSIM(of="source").update(fake, real, {**numbered(0, 1, 2), "source_pose": torch.zeros(3, 1, 25, 3)})


def test_any_metric_on_masked_frames() -> None:
    fake, real = pair()
    mask = soft_masks(3, 3, 2, 24)[..., :20]
    batch = with_mask(mask)
    wrapped, plain = Masked(SSIM()), SSIM()
    assert wrapped.name == "mask_ssim" and wrapped.paired and wrapped.higher_is_better and wrapped.needs == {"mask"}
    wrapped.update(fake, real, batch)
    plain.update(masked("x", fake, batch["mask"]), masked("x", real, batch["mask"]), numbered(0, 1, 2))
    assert wrapped.result().value == plain.result().value == float(wrapped.compute())
    assert wrapped.result().fingerprint == f"frames times mask cast to uint8; {plain.fingerprint}"
    wrapped.reset()
    assert wrapped.result().value is None
    distance = Masked(FrechetDistance(RandomFeatures("frame", num_features=4)))
    assert not distance.paired and distance.name == "mask_frechet_frame[random]"
    distance.update(fake, None, batch)
    distance.update(None, fake, batch)
    assert distance.result().value == pytest.approx(0, abs=1e-9)
    distance.update(fake[:0], None, None)


def test_masks_that_are_no_masks() -> None:
    fake, real = pair()
    mask = torch.full((3, 1, 2, 24, 20), 255, dtype=torch.uint8)
    with pytest.raises(BenchError, match=r"must be float in \[0, 1\], got torch.uint8; .*to_float"):
        MaskSSIM().update(fake, real, {**numbered(0, 1, 2), "mask": mask})
    for bad in (float("nan"), -0.1, 1.5):
        with pytest.raises(BenchError, match=r"must be float in \[0, 1\]"):
            MaskSSIM().update(fake, real, {**numbered(0, 1, 2), "mask": torch.full((3, 1, 2, 24, 20), bad)})
    with pytest.raises(BenchError, match=r"batch\['mask'\] is \(3, 1, 2, 24, 19\), with these clips it must be"):
        MaskSSIM().update(fake, real, with_mask(mask[..., :19]))
    with pytest.raises(BenchError, match="mask_ssim needs mask of its clips; the batch holds index"):
        MaskSSIM().update(fake, real, numbered(0, 1, 2))
    with pytest.raises(BenchError, match="mask_ssim needs mask of its clips; the batch holds index"):
        Masked(SSIM()).update(fake, real, numbered(0, 1, 2))
    with pytest.raises(BenchError, match="region must be frame or mask, found 'box'"):
        MaskSSIM("box")  # type: ignore[arg-type]
    data = ArrayData(val=noise_clips(0, 2, 3, 2, 6, 16))
    with pytest.raises(BenchError, match="at least 7x7 pixels, the data give 6x16"):
        MaskSSIM().prepare(data, ProtocolSettings().resolve(data))
