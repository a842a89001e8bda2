from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datamodules.errors import BenchError
from datamodules.synthetic.shape_motion import ShapeMotion
from lightning_modules.contract import ClipNoise
from lightning_modules.tgan.clipping import clip_discriminator, clip_singular_values, clip_weights
from lightning_modules.tgan.module import TGAN, statistics_kept
from lightning_modules.tgan.networks import Discriminator, FrameSeedGenerator
from lightning_modules.tgan.official import load_chainer


def tiny(**options: Any) -> TGAN:
    torch.manual_seed(0)
    return TGAN(**{"size": 32, "ngf": 4, "ndf": 2, "z_slow_dim": 5, "z_fast_dim": 6, **options})


def trained(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize(("channels", "beta", "seeds", "image", "critic"), [
    (3, False, 825_444, 3_622_691, 11_032_449),
    (3, True, 826_468, 3_622_691, 11_033_409),
    (1, False, 825_444, 3_622_113, 11_024_257),
])  # fmt: skip
def test_official_number_of_parameters(channels: int, beta: bool, seeds: int, image: int, critic: int) -> None:
    with torch.device("meta"):
        model = TGAN(channels=channels, beta=beta)
    assert trained(model.generator.fsgen) == seeds and trained(model.generator.vgen) == image
    # Of the official critic's parameters those of bn0 and the last shift have no gradient.
    assert trained(model.discriminator) + 64 * (1 + beta) + 1 == critic


# Singular values


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (5, 5), (1, 9), (9, 1)])
@pytest.mark.parametrize("scale", [0.2, 1.0, 30.0])
def test_singular_values_are_cut_as_by_a_decomposition(shape: tuple[int, int], scale: float) -> None:
    matrix = scale * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, s, v = np.linalg.svd(matrix.numpy(), full_matrices=False)
    found = clip_singular_values(matrix)
    np.testing.assert_allclose(found.numpy(), (u * np.minimum(s, 1)) @ v, atol=1e-12)
    assert float(torch.linalg.svdvals(found).max()) <= 1 + 1e-9


def test_small_ones_stay_bit_by_bit_or_nearly() -> None:
    matrix = torch.randn(8, 20) * 0.05
    assert float(torch.linalg.svdvals(matrix).max()) < 1
    torch.testing.assert_close(clip_singular_values(matrix), matrix, rtol=0, atol=1e-7)
    assert torch.equal(clip_singular_values(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_kernels_and_scales_of_the_critic() -> None:
    torch.manual_seed(0)
    critic = Discriminator(3, 4, 2)
    with torch.no_grad():
        for p in critic.parameters():
            p.normal_(0, 2)
    norm: Any = critic.get_submodule("bn1")
    norm.running_var.fill_(0.25)
    with torch.no_grad():
        norm.weight[:3] = torch.tensor([3.0, -1.0, 0.3])
    shifts = {k: p.clone() for k, p in critic.named_parameters() if k.endswith("bias")}
    clip_discriminator(critic)
    for layer in critic.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            assert float(torch.linalg.svdvals(layer.weight.flatten(1)).max()) <= 1 + 1e-5
    torch.testing.assert_close(norm.weight[:3], torch.tensor([0.5, 0.005, 0.3]))
    assert all(torch.equal(critic.get_parameter(k), p) for k, p in shifts.items())


def test_weights_are_cut_at_a_bound() -> None:
    critic = Discriminator(3, 2, 2)
    clip_weights(critic)
    assert max(float(p.detach().abs().max()) for p in critic.parameters()) <= 0.01


@pytest.mark.parametrize(("clipping", "norms"), [("svc", [0, 0, 0, 0, 1]), ("weights", [1, 1, 1, 1, 1])])
def test_when_the_critic_is_clipped(clipping: Any, norms: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(clipping=clipping)
    done: list[int] = []
    step = 0
    for name in ("clip_discriminator", "clip_weights"):
        monkeypatch.setattr(f"lightning_modules.tgan.module.{name}", lambda _: done.append(step))
    for step in range(1, 6):
        model.clip(step)
    assert done == [i + 1 for i, cut in enumerate(norms) if cut]


# Training


def fit(model: TGAN, steps: int) -> L.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(max_steps=steps, accelerator="cpu", enable_checkpointing=False, **quiet)  # type: ignore[arg-type]
    trainer.fit(model, ShapeMotion(size=32, frames=16, stride=2, batch_size=4, train_videos=16))
    return trainer


@pytest.mark.parametrize("options", [{}, {"clipping": "weights"}, {"loss": "vanilla", "clipping": "none"}])
def test_a_step_moves_every_player_and_keeps_absent_shifts_at_zero(options: dict[str, Any]) -> None:
    model = tiny(**options)
    before = {name: p.clone() for name, p in model.named_parameters()}
    fit(model, 5)
    still = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    unused = {"discriminator.bn0.weight"} if model.clipping == "none" else set()
    absent = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert still <= absent | unused
    assert all(not model.get_parameter(name).any() for name in absent if name.endswith("bias"))


def test_the_critic_s_statistics_take_in_fakes_and_real_clips_once() -> None:
    model = tiny()
    norm: Any = model.discriminator.get_submodule("bn1")
    fit(model, 1)
    assert int(norm.num_batches_tracked) == 3  # one of them with a momentum of 0
    seen: list[Tensor] = []
    other = tiny()
    hook = other.discriminator.get_submodule("bn1")
    hook.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    fit(other, 1)
    mean = torch.zeros(4)
    for h in seen[1:]:
        mean = 0.9 * mean + 0.1 * h.mean((0, 2, 3, 4))
    torch.testing.assert_close(hook.get_buffer("running_mean"), mean, rtol=1e-4, atol=1e-6)


def test_statistics_are_kept_inside_only() -> None:
    norm = nn.BatchNorm3d(2)
    with statistics_kept(norm):
        norm(torch.randn(3, 2, 2, 2, 2) + 5)
    assert not norm.running_mean.any() and norm.momentum == 0.1  # type: ignore[union-attr]


# Sampling


def test_interpolated_clips_hold_the_frames_of_the_short_ones() -> None:
    model = tiny().eval()
    with torch.no_grad():
        for p in model.generator.parameters():
            p.normal_(0, 0.3)
    short = model.sample({}, ClipNoise(0, torch.arange(2)))
    with model.at_length(31):
        long = model.sample({}, ClipNoise(0, torch.arange(2)))
    assert long.shape[2] == 31 and short.std() > 0.01
    torch.testing.assert_close(long[:, :, ::2], short, rtol=0, atol=1e-5)
    z = model._drawn(ClipNoise(0, torch.arange(2)))
    codes = model.generator.fsgen(z)
    between = model.generator.render(z, (codes[:, :, 3:4] + codes[:, :, 4:5]) / 2)
    torch.testing.assert_close(long[:, :, 7:8], between, rtol=0, atol=1e-5)


def test_swapping_nothing_is_sampling() -> None:
    model = tiny().eval()
    noise = [ClipNoise(0, torch.arange(3)) for _ in range(3)]
    assert torch.equal(model.swap(noise[0], noise[1]), model.sample({}, noise[2]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 32}, "frames must be 16, which TGAN is built for, found 32"),
        ({"size": 40}, "32, 48, 64, ... pixels, found size 40"),
        ({"ngf": 6}, "ngf a multiple of 4; found 5, 6, 2, 5 and 6"),
        ({"clipping": "none"}, "clipping none needs loss: vanilla"),
    ],
)
def test_what_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        tiny(**options)


def test_initialisations() -> None:
    torch.manual_seed(0)
    for init, gain in (("code", 1), ("paper", 2)):
        model = TGAN(size=32, ngf=16, ndf=16, init=init)  # type: ignore[arg-type]
        critic: Any = model.discriminator.get_submodule("c2")
        assert float(critic.weight.detach().std()) == pytest.approx((gain / (32 * 64)) ** 0.5, rel=0.05)
        seeds = model.generator.fsgen.dc1  # outputs times kernel
        assert float(seeds.weight.detach().std()) == pytest.approx((gain / (32 * 4)) ** 0.5, rel=0.05)
        image: Any = model.generator.vgen.get_submodule("dc1")
        assert float(image.weight.detach().abs().max()) <= 0.01
        assert float(image.weight.detach().std()) == pytest.approx(0.02 / 12**0.5, rel=0.05)


def test_snapshots_are_read_strictly() -> None:
    network = FrameSeedGenerator(3, 4, (4, 4, 4, 4))
    arrays = {"dc0/W": torch.zeros(3, 4, 1)}
    with pytest.raises(BenchError, match=r"does not fit FrameSeedGenerator: dc0\.bias is missing"):
        load_chainer(network, arrays)
