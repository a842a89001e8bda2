import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.tgan.clipping import (
    clip_critic_singular_values,
    clip_critic_weights,
    clip_gamma,
    clip_singular_values,
)
from lightning_modules.tgan.critic import Critic, statistics_kept
from lightning_modules.tgan.networks import batch_norm


def by_svd(matrix: Tensor) -> np.ndarray:
    u, s, v = np.linalg.svd(matrix.double().numpy(), full_matrices=False)
    return u * np.minimum(s, 1) @ v


@pytest.mark.parametrize("shape", [(6, 40), (12, 7), (5, 5), (1, 30), (30, 1)])
@pytest.mark.parametrize("scale", [0.3, 3.0, 1e3])
def test_as_numpy_s_svd(shape: tuple[int, int], scale: float) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape) * scale
    clipped = clip_singular_values(matrix)
    np.testing.assert_allclose(clipped.numpy(), by_svd(matrix), atol=1e-6)
    assert np.linalg.svd(clipped.double().numpy(), compute_uv=False).max() <= 1 + 1e-6


def test_small_values_of_a_rank_deficient_matrix_stay() -> None:
    torch.manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(8, 8, dtype=torch.float64))
    wanted = torch.tensor([5, 1.0001, 0.999, 0.5, 1e-3, 1e-6, 0, 0], dtype=torch.float64)
    clipped = clip_singular_values((u * wanted) @ v)
    torch.testing.assert_close(clipped, (u * wanted.clamp(max=1)) @ v, atol=1e-12, rtol=0)


@pytest.mark.parametrize("shape", [(6, 40), (40, 6)])
def test_nothing_above_one_changes_nothing(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    matrix *= 0.999 / torch.linalg.matrix_norm(matrix, 2)
    assert torch.equal(clip_singular_values(matrix), matrix)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_broken_weights_are_left_to_the_check_of_the_losses(bad: float) -> None:
    matrix = torch.full((3, 5), 2.0)
    matrix[1, 1] = bad
    assert torch.equal(clip_singular_values(matrix).nan_to_num(7.0, 8.0), matrix.nan_to_num(7.0, 8.0))


def test_gamma_rule() -> None:
    norm = batch_norm(3, 5, beta=False)
    assert norm.running_var is not None
    norm.running_var.copy_(torch.tensor([4.0, 4.0, 4.0, 4.0, 0.25]))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([3.0, 1.0, 0.001, -1.0, 0.6]))
    clip_gamma(norm)
    torch.testing.assert_close(norm.weight.detach(), torch.tensor([2.0, 1.0, 0.02, 0.02, 0.5]))


def critic(**options: float) -> Critic:
    torch.manual_seed(0)
    network = Critic(3, 4, 2, beta=True, **options)  # type: ignore[arg-type]
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    return network


def test_the_whole_critic_after_clipping() -> None:
    network = critic()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    with torch.no_grad():
        network(torch.rand(4, 3, 16, 32, 32))
    clip_critic_singular_values(network)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            assert torch.equal(parameter, before[name]), name
        elif name.startswith("bn"):
            sigma = network.get_buffer(name.replace("weight", "running_var")).sqrt()
            assert (parameter <= sigma).all() and (parameter >= 0.01 * sigma).all(), name
        else:
            assert torch.linalg.matrix_norm(before[name].flatten(1), 2) > 1, "the test would see nothing"
            assert torch.linalg.matrix_norm(parameter.double().flatten(1), 2) <= 1 + 1e-5, name


def test_weight_clipping_takes_every_parameter() -> None:
    network = critic()
    clip_critic_weights(network)
    assert all(0 < p.abs().max() <= 0.01 for p in network.parameters())


def test_statistics_kept_normalises_alike_and_counts_nothing() -> None:
    network, clips = critic(), torch.rand(4, 3, 16, 32, 32)
    before = {name: b.clone() for name, b in network.named_buffers()}
    with statistics_kept(network):
        quiet = network(clips)
    assert all(torch.equal(b, before[name]) for name, b in network.named_buffers())
    assert torch.equal(network(clips), quiet)
    assert not torch.equal(network.get_buffer("bn1.running_var"), before["bn1.running_var"])


def test_noise_in_training_only() -> None:
    network, clips = critic(noise_sigma=0.3), torch.rand(2, 3, 16, 32, 32)
    network.eval()
    assert torch.equal(network(clips), network(clips))
    network.train()
    assert not torch.equal(network(clips), network(clips))
