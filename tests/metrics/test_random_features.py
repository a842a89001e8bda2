import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import BenchError
from metrics.features.base import Extractor, full_precision, weights_digest
from metrics.features.random import RandomFeatures
from tests.metrics.array_data import noise_clips


def test_weights_are_the_same_on_every_machine() -> None:
    # Written down once: Philox words and IEEE arithmetic give the same bits everywhere.
    assert weights_digest(RandomFeatures("clip", seed=0))[:12] == "bda110b4b56d"
    assert weights_digest(RandomFeatures("frame", seed=0))[:12] == "ab3391b7c050"


def test_weights_are_spread_as_he_uniform() -> None:
    weight = RandomFeatures("clip").get_buffer("weight1")  # 64 x 32 x 27
    bound = (6 / (32 * 27)) ** 0.5
    assert weight.abs().max() <= bound
    assert float(weight.abs().max()) == pytest.approx(bound, rel=1e-3)
    assert float(weight.var()) == pytest.approx(bound**2 / 3, rel=0.02)
    assert abs(float(weight.mean())) < 0.01 * bound


def test_global_generators_stay_untouched() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    RandomFeatures("clip")(noise_clips(0, 2, 3, 4, 8, 8))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("level", "shape"), [("clip", (2, 20)), ("frame", (2, 5, 20))])
def test_shapes(level: str, shape: tuple[int, ...], channels: int) -> None:
    features = RandomFeatures(level, num_features=20)(noise_clips(0, 2, channels, 5, 11, 9))  # type: ignore[arg-type]
    assert features.shape == shape and features.dtype == torch.float32
    assert features.isfinite().all() and float(features.std()) > 0


def test_features_equal_their_formula_in_float64() -> None:
    clips = noise_clips(0, 2, 3, 5, 12, 10)
    clip, frame = RandomFeatures("clip", num_features=6), RandomFeatures("frame", num_features=6)
    x = y = clips.double() / 127.5 - 1
    for layer in range(3):
        x = F.conv3d(x, clip.get_buffer(f"weight{layer}").double(), stride=2, padding=1).clamp_min(0)
        of_frame = frame.get_buffer(f"weight{layer}")[:, :, 0].double()
        y = torch.stack([F.conv2d(f, of_frame, stride=2, padding=1).clamp_min(0) for f in y.unbind(2)], dim=2)
    torch.testing.assert_close(clip(clips).double(), x.mean((2, 3, 4)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(frame(clips).double(), y.mean((3, 4)).transpose(1, 2), rtol=1e-5, atol=1e-6)


def test_grey_equals_its_rgb() -> None:
    grey = noise_clips(0, 2, 1, 4, 8, 8)
    extractor = RandomFeatures("clip")
    assert torch.equal(extractor(grey), extractor(grey.repeat(1, 3, 1, 1, 1)))


def test_each_clip_is_seen_alone() -> None:
    clips = noise_clips(0, 5, 3, 4, 16, 16)
    for level in ("clip", "frame"):
        extractor = RandomFeatures(level)
        whole = extractor(clips)
        torch.testing.assert_close(whole, torch.cat([extractor(c[None]) for c in clips]), rtol=1e-5, atol=1e-6)


def test_frame_features_see_one_frame() -> None:
    clips = noise_clips(0, 1, 3, 4, 16, 16)
    changed = clips.clone()
    changed[:, :, 2] = 0
    extractor = RandomFeatures("frame")
    differs = (extractor(clips) - extractor(changed)).abs().amax(dim=2)[0] > 1e-6
    assert differs.tolist() == [False, False, True, False]


def test_never_trains() -> None:
    class WithNorm(Extractor):
        name, level, num_features, preprocessing = "norm", "clip", 3, "none"

        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm3d(3)
            self.freeze()

        def features(self, clips: Tensor) -> Tensor:
            return self.norm(clips.float()).mean(dim=(2, 3, 4))

    extractor = WithNorm()
    parent = torch.nn.Sequential(extractor).train()
    assert parent.training and not extractor.training and not extractor.norm.training
    assert not any(p.requires_grad for p in extractor.parameters())
    before = weights_digest(extractor)
    clips = noise_clips(0, 4, 3, 4, 8, 8)
    first = extractor(clips)
    assert torch.equal(extractor(clips), first)
    assert weights_digest(extractor) == before


def test_fingerprint_tells_weights_and_levels_apart() -> None:
    prints = {
        RandomFeatures(level, seed, width).fingerprint
        for level in ("clip", "frame")
        for seed in (0, 1)
        for width in (16, 32)
    }
    assert len(prints) == 8
    assert RandomFeatures().fingerprint == RandomFeatures().fingerprint
    assert RandomFeatures().fingerprint.startswith("random clip sha256 ")


def test_autocast_moves_nothing() -> None:
    clips = noise_clips(0, 2, 3, 4, 16, 16)
    extractor = RandomFeatures("clip")
    expected = extractor(clips)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(extractor(clips), expected)


def test_full_precision_is_restored() -> None:
    torch.set_float32_matmul_precision("high")
    allowed = torch.backends.cudnn.allow_tf32
    try:
        with full_precision(torch.device("cpu")):
            assert not torch.backends.cudnn.allow_tf32
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.backends.cudnn.allow_tf32 == allowed
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_wrong_input_is_named() -> None:
    extractor = RandomFeatures("clip")
    with pytest.raises(BenchError, match=r"at least 2 frames, found 1"):
        extractor(noise_clips(0, 2, 3, 1, 8, 8))
    with pytest.raises(BenchError, match=r"must be uint8 B C T H W"):
        extractor(torch.zeros(2, 3, 4, 8, 8))
    with pytest.raises(BenchError, match="level must be clip or frame, found 'video'"):
        RandomFeatures("video")  # type: ignore[arg-type]
    with pytest.raises(BenchError, match="num_features must be at least 1"):
        RandomFeatures(num_features=0)
