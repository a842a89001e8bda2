from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules.errors import BenchError
from lightning_modules.videovae.gaussian import Gaussian, GaussianNet, kl_divergence, stacked
from lightning_modules.videovae.module import VideoVAE
from tests.helpers.built import model_args
from tests.lightning_modules.videovae.videovae_model import lively, tiny


def count(network: nn.Module | None) -> int:
    return sum(p.numel() for p in network.parameters()) if network is not None else 0


def test_number_of_parameters_of_the_reimplementation() -> None:
    """The whole is counted from the re-implementation's layers; the parts are those layers written out."""
    with torch.device("meta"):
        g = VideoVAE(attributes={"category": 10, "subject": 9}).generator
    assert count(g) == 9_187_165

    def linear(inputs: int, outputs: int) -> int:
        return inputs * outputs + outputs

    def gaussian(inputs: int) -> int:
        return linear(inputs, 128) + 2 * linear(128, 512)

    assert [count(n) for n in (g.of_frame, g.of_attributes, g.of_dynamics, g.of_prior)] == [
        gaussian(512),
        gaussian(1024 + 19),
        gaussian(1024 + 512),
        gaussian(512 + 19),
    ]
    assert count(g.past) == linear(512, 128) + linear(128, 512)
    assert count(g.classifier) == linear(512, 128) + linear(128, 10) + linear(128, 9)
    assert count(g.lstm) == 4 * 512 * (1536 + 512) + 2 * 4 * 512
    maps = [9 * 9 * 3 * 10, 7 * 7 * 10 * 20, 5 * 5 * 20 * 40, 3 * 3 * 40 * 80]
    assert count(g.encoder) == sum(maps) + 2 * 150 + linear(1280, 1024) + linear(1024, 512)
    assert count(g.decoder) == sum(maps) + 3 * 70 + linear(512, 1024) + linear(1024, 1280)


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("videovae", {}),
        ("videovae_no_attributes", {"attributes": {}}),
        ("videovae_no_conditioning", {"conditional_sampling": False}),
        ("videovae_first_frame", {"generate_from": "first_frame"}),
        ("videovae_two_stages", {"stages": "two", "classifier_steps": 1125, "reduction": "sum", "init": "small"}),
        ("videovae_strips", {"attributes": {"category": 4}}),
        ("videovae_chairs", {"attributes": {"subject": 500}}),
    ],
)
def test_configs_differ_from_videovae_in_what_they_are_named_after(name: str, differs: dict[str, Any]) -> None:
    path, arguments = model_args(name)
    base = {"size": 64, "frames": 16, "attributes": {"category": 10, "subject": 9}}
    assert path.endswith(".VideoVAE") and arguments == {**base, **differs}


@pytest.mark.parametrize("size", [64, 32])
def test_maps_of_both_sizes(size: int) -> None:
    g = tiny(size=size).generator
    video = torch.rand(2, 3, 4, size, size) * 2 - 1
    assert g.encode(video).shape == (2, 4, 7)
    drawn = g.decode(3 * torch.randn(2, 4, 6))
    assert drawn.shape == (2, 3, 4, size, size) and drawn.abs().max() <= 1
    bottom = g.encoder.maps(video[:, :, 0])
    assert bottom.shape == (2, 5, size // 16, size // 16)


def test_kl_divergence_is_torchs() -> None:
    torch.manual_seed(0)
    q, p = (Gaussian(torch.randn(3, 4, 5), 3 * torch.randn(3, 4, 5)) for _ in range(2))
    expected = torch.distributions.kl_divergence(
        *(torch.distributions.Normal(g.mu.double(), (g.logvar.double() / 2).exp()) for g in (q, p))
    ).sum(-1)
    torch.testing.assert_close(kl_divergence(q, p).double(), expected, rtol=1e-5, atol=0)
    assert not kl_divergence(q, q).any()
    narrow = Gaussian(torch.zeros(1), torch.full((1,), -100.0))  # a variance whose inverse float32 does not hold
    assert kl_divergence(narrow, narrow).item() == 0
    standard = Gaussian(torch.zeros(5), torch.zeros(5))
    closed = -0.5 * (1 + q.logvar - q.mu**2 - q.logvar.exp()).sum(-1)
    torch.testing.assert_close(kl_divergence(q, standard), closed)


def test_draws_follow_the_gaussian() -> None:
    g = Gaussian(torch.tensor([2.0, -1.0]), torch.tensor([0.0, 2.0]).log().clamp_min(-80))
    drawn = g.draw(torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0)))
    assert drawn.mean(0).tolist() == pytest.approx([2, -1], abs=0.04)
    assert drawn.std(0).tolist() == pytest.approx([0, 2**0.5], abs=0.02)


def test_stacking_keeps_clips_and_frames_apart() -> None:
    steps = [Gaussian(torch.full((2, 3), float(t)), torch.full((2, 3), -float(t))) for t in range(4)]
    whole = stacked(steps)
    assert whole.mu.shape == (2, 4, 3) and whole.mu[0, :, 0].tolist() == [0, 1, 2, 3]
    assert torch.equal(whole.logvar, -whole.mu)


def test_the_posterior_is_a_chain_of_picture_attributes_past() -> None:
    """Each link receives the parameters of the one before it, and nothing else of what came earlier."""
    g = tiny().generator
    seen: list[tuple[GaussianNet, list[Tensor], Gaussian]] = []

    def watch(module: nn.Module, inputs: tuple[Tensor, ...], output: Gaussian) -> None:
        assert isinstance(module, GaussianNet)
        seen.append((module, list(inputs), output))

    frame, attributes, past = Gaussian(torch.randn(2, 6), torch.randn(2, 6)), torch.eye(3)[[0, 2]], torch.randn(2, 8)
    for link in (g.of_attributes, g.of_dynamics):
        assert link is not None
        link.register_forward_hook(watch)
    found = g.posterior(frame, attributes, past)
    (first, of_first, refined), (second, of_second, last) = seen
    assert (first, second) == (g.of_attributes, g.of_dynamics)
    assert all(a is b for a, b in zip(of_first, [*frame, attributes], strict=True))
    assert all(a is b for a, b in zip(of_second, [*refined, past], strict=True))
    assert found is last


@pytest.mark.parametrize(
    ("options", "absent", "prior_sees"),
    [
        ({}, set(), 8 + 3),
        ({"conditional_sampling": False}, {"of_dynamics", "past", "lstm"}, 3),
        ({"attributes": {}}, {"of_attributes", "classifier"}, 8),
        (
            {"attributes": {}, "conditional_sampling": False},
            {"of_dynamics", "past", "lstm", "of_attributes", "classifier", "of_prior"},
            0,
        ),
    ],
)
def test_ablations_leave_parts_out(options: dict[str, Any], absent: set[str], prior_sees: int) -> None:
    model = lively(**options)
    g = model.generator
    parts = {"of_dynamics", "past", "lstm", "of_attributes", "classifier", "of_prior"}
    assert {name for name in parts if getattr(g, name) is None} == absent
    assert (g.of_prior.hidden.in_features if g.of_prior is not None else 0) == prior_sees
    known = torch.eye(3)[[0, 1]] if g.classifier is not None else torch.empty(2, 0)
    video = torch.rand(2, 3, 5, 32, 32) * 2 - 1
    rollout = g(video, known, torch.ones(2), torch.randn(2, 5, 6))
    assert rollout.video.shape == video.shape and rollout.prior.mu.shape == (2, 5, 6)
    assert ("category" in rollout.logits) == (g.classifier is not None)
    if "of_prior" in absent:
        assert not rollout.prior.mu.any() and not rollout.prior.logvar.any()


@pytest.mark.parametrize("conditional", [True, False])
def test_what_the_prior_of_a_frame_sees(conditional: bool) -> None:
    """The frames before it, and none after: gradients of frame 2's prior reach frames 0 and 1 alone."""
    g = lively(conditional_sampling=conditional).generator
    video = (torch.rand(1, 3, 5, 32, 32) * 2 - 1).requires_grad_()
    rollout = g(video, torch.eye(3)[:1], torch.ones(1), torch.randn(1, 5, 6))
    for of, reach in ((rollout.prior, [0, 1]), (rollout.posterior, [0, 1, 2])):
        (gradient,) = torch.autograd.grad(of.mu[0, 2].sum(), video, retain_graph=True, allow_unused=True)
        seen = [] if gradient is None else [t for t in range(5) if gradient[0, :, t].abs().sum() > 0]
        assert seen == (reach if conditional else [t for t in reach if t == 2])


def test_the_state_starts_at_zeros_in_training_and_in_sampling() -> None:
    g = lively().generator
    states: list[Tensor] = []
    assert g.lstm is not None and g.past is not None
    g.past.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))
    g(torch.rand(2, 3, 5, 32, 32), torch.eye(3)[:2], torch.ones(2), torch.randn(2, 5, 6))
    g.generate(torch.eye(3)[:2, None].expand(-1, 5, -1), torch.randn(2, 5, 6), torch.empty(2, 3, 0, 32, 32))
    assert len(states) == 10 and not states[0].any() and not states[5].any()
    assert states[1].any() and states[6].any()  # the first frame, given or made, advances it


@pytest.mark.parametrize("known", [0, 1])
def test_sampling_pairs_codes_with_their_own_frames_as_training_does(known: int) -> None:
    """Training on the clip that was made, with the codes it was made from, meets the same states."""
    g = lively().generator
    attributes, eps = torch.eye(3)[[1, 2]], torch.randn(2, 5, 6)
    context = torch.rand(2, 3, known, 32, 32) * 2 - 1
    read: list[Tensor] = []
    assert g.lstm is not None
    hook = g.lstm.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    with torch.no_grad():
        made = g.generate(attributes[:, None].expand(-1, 5, -1), eps, context)
        hook.remove()
        pictures = g.of_frame(g.encode(made))
    assert torch.equal(made[:, :, :known], context) and made.abs().max() <= 1
    for t, inputs in enumerate(read):
        z, mu, logvar = inputs.split(6, 1)
        torch.testing.assert_close((mu, logvar), (pictures.mu[:, t], pictures.logvar[:, t]), rtol=1e-4, atol=1e-4)
        if t >= known:
            torch.testing.assert_close(g.decoder(z), made[:, :, t], rtol=1e-4, atol=1e-4)


def test_without_conditioning_frames_do_not_know_of_each_other() -> None:
    g = lively(conditional_sampling=False).generator
    attributes, eps = torch.eye(3)[[1, 2]][:, None].expand(-1, 5, -1), torch.randn(2, 5, 6)
    with torch.no_grad():
        made = g.generate(attributes, eps, torch.empty(2, 3, 0, 32, 32))
        eps[:, 2] += 1
        other = g.generate(attributes, eps, torch.empty(2, 3, 0, 32, 32))
    assert [t for t in range(5) if not torch.equal(made[:, :, t], other[:, :, t])] == [2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 48}, r"size must be one of \[32, 64\] for VideoVAE, found 48"),
        ({"widths": (1, 2, 3)}, r"widths must be 4 channel counts, found \[1, 2, 3\]"),
        ({"attributes": {"category": 1}}, "at least 2 classes of each, found category: 1"),
        ({"attributes": {"category": 2}, "labelled": 0.0}, r"labelled must lie in \(0, 1\], found 0.0"),
        ({"attributes": {"category": 2}, "labelled": 1.5}, r"labelled must lie in \(0, 1\], found 1.5"),
        ({"attributes": {"category": 2}, "attributes_from": "inferred"}, "needs attributes, and generate_from first"),
        ({"attributes_from": "inferred", "generate_from": "first_frame"}, "and 0 attributes"),
        ({"attributes": {"category": 2}, "stages": "two"}, "classifier_steps must be at least 1 with stages two"),
        ({"classifier_steps": 4}, "0 with stages joint, found 4"),
        ({"stages": "two", "classifier_steps": 4}, "trains a classifier of attributes first"),
        ({"kl_weight": -1.0}, "kl_weight must be at least 0"),
    ],
)
def test_arguments_that_do_not_go_together(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        VideoVAE(**arguments)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
def test_training_compiles(frozen: bool) -> None:
    """The contract's test compiles what samples; this is the other way through the network, with its gradients."""
    model, video = lively(), torch.rand(2, 3, 3, 32, 32) * 2 - 1
    given, seen, eps = torch.eye(3)[:2], torch.tensor([1.0, 0.0]), torch.randn(2, 3, 6)
    results = []
    for compiled in (False, True):
        model.zero_grad()
        if compiled:
            model.generator.compile(backend="aot_eager")
        rollout = model.generator(video, given, seen, eps, frozen_encoder=frozen)
        (rollout.video.sum() + kl_divergence(rollout.posterior, rollout.prior).sum()).backward()
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        results.append((rollout.video.detach(), gradients))
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-4)
    assert any("encoder" in name for name in results[0][1]) != frozen
