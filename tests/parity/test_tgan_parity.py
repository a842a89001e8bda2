"""The official networks' numbers, reproduced: one test for each file `tgan_*.safetensors` under REELBENCH_PARITY."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.tgan.clipping import clip_critic_singular_values, clip_critic_weights, clip_singular_values
from lightning_modules.tgan.critic import Critic
from lightning_modules.tgan.losses import FAKE, REAL, cross_entropy, wgan_critic, wgan_generator
from lightning_modules.tgan.module import TGAN
from lightning_modules.tgan.networks import TemporalGenerator, VideoGenerator
from lightning_modules.tgan.official import our_key
from tests.parity.official import PARITY, OfficialNumbers, Tensors, official_files

FILES = official_files("tgan_*.safetensors")
# One parameter even without a file, so that what is missing is said and not just collected as nothing.
PARAMETERS = FILES or [Path("tgan_no_files")]


class Fixture(OfficialNumbers):
    """One file, and how its weights are loaded."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.classes = " ".join(self.about["classes"])

    def load(self, network: nn.Module, part: str = "") -> None:
        """The official weights; every key on both sides must be met, but for the counters of either framework."""
        state = {}
        for name, tensor in self.groups["weights"].items():
            key = our_key(name.removeprefix(part)) if name.startswith(part) else None
            if key is not None:
                state[key] = tensor
        counters = {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}
        network.load_state_dict(state | counters, strict=True)


def statistics(network: nn.Module, names: Any, after: str = "_after") -> Tensors:
    """The running statistics among the official `names`."""
    found = {}
    for name in names:
        if "/avg_" in name and name.endswith(after):
            key = our_key(name.removesuffix(after))
            assert key is not None
            found[name] = network.get_buffer(key)
    return found


def both_modes(fixture: Fixture, network: nn.Module, call: Any, output: str) -> None:
    computed: Tensors = {}
    for mode in ("eval", "train"):
        fixture.load(network)
        network.train(mode == "train")
        computed[f"{output}_{mode}"] = call()
    fixture.check(computed | statistics(network, fixture.groups["output"]))


def temporal(given: dict[str, Any], beta: bool) -> TemporalGenerator:
    widths = [*given["w"], given["w"][-1]]  # the last hidden width stands twice
    return TemporalGenerator(given["z_slow_dim"], given["z_fast_dim"], widths, beta)


def check_temporal(fixture: Fixture) -> None:
    network = temporal(fixture.constructor, beta="NoBeta" not in fixture.classes)
    both_modes(fixture, network, lambda: network(fixture.input["z_slow"]), "z_fast")


def check_critic(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    given, beta = fixture.constructor, "NoBeta" not in fixture.classes
    sigma = given.get("sigma", 0.0)
    network = Critic(given["in_channels"], given["mid_ch"], given["top_width"], 0, beta, sigma)
    noise = [fixture.input[name] for name in sorted(fixture.input) if name.startswith("noise")]
    assert (len(noise) == 4) == (sigma > 0)
    monkeypatch.setattr(torch, "randn_like", lambda _: noise.pop(0))
    both_modes(fixture, network, lambda: network(fixture.input["x"]), "y")
    assert not noise  # each was added once, in training


def whole_generator(given: dict[str, Any]) -> VideoGenerator:
    return VideoGenerator(
        given["z_slow_dim"],
        given["z_fast_dim"],
        0,
        given["out_channels"],
        [*given.get("w", [1, 1, 1]), given.get("w", [1])[-1]],
        given["conv_ch"],
        given["bottom_width"],
        beta=False,
    )


def check_video(fixture: Fixture) -> None:
    slow, fast = fixture.input["z_slow"], fixture.input["z_fast"]
    network = whole_generator(fixture.constructor)
    image, none = network.image, slow[:, :0]
    fixture.load(image)
    computed = {"frame0_eval": image.eval()(slow[:1], fast[:1, :, 0])}
    computed["video_eval"] = network.eval().render(slow, fast, none)
    computed["video_train"] = network.train().render(slow, fast, none)
    fixture.check(computed | statistics(image, fixture.groups["output"]))


def check_losses(fixture: Fixture) -> None:
    real, fake = fixture.input["dis_real"], fixture.input["dis_fake"]
    fixture.check(
        {
            "vanilla_loss_dis_fake": cross_entropy(fake, FAKE),
            "vanilla_loss_dis_real": cross_entropy(real, REAL),
            "vanilla_loss_gen": cross_entropy(fake, REAL),
            "wgan_loss_dis": wgan_critic(real, fake),
            "wgan_loss_gen": wgan_generator(fake),
        }
    )


def check_clipping(fixture: Fixture) -> None:
    given = fixture.input
    computed = {f"out{i}": clip_singular_values(given[f"A{i}"]) for i in range(len(fixture.constructor["s"]))}
    module = TGAN(size=16, ngt=1, ngf=1, ndf=1)
    optimizer = module.configure_optimizers()[0]
    parameter = nn.Parameter(given["p0"].clone())
    ours = type(optimizer)([parameter], **{k: v for k, v in optimizer.defaults.items() if k != "differentiable"})
    for step, gradient in enumerate(given["g"], start=1):
        parameter.grad = gradient
        ours.step()
        computed[f"rmsprop_after_{step}"] = parameter.detach().clone()
    fixture.check(computed)


def named(critic: Critic, prefix: str, names: Any) -> Tensors:
    """The critic's tensors among the official `names`, which begin with `prefix`."""
    state = critic.state_dict()
    keys = {name: our_key(name.removeprefix(prefix)) for name in names if name.startswith(prefix)}
    return {name: state[key].clone() for name, key in keys.items() if key is not None}


def check_step(fixture: Fixture) -> None:
    """Losses, gradients and clipping of the module's own step."""
    given, expected = fixture.constructor, fixture.groups["output"]
    module = TGAN(size=16, ngt=1, ngf=1, ndf=1)
    module.generator = whole_generator(given)
    module.critic = Critic(given["out_channels"], given["mid_ch"], given["bottom_width"])
    parts = {"fsgen": module.generator.temporal, "vgen": module.generator.image, "vdis": module.critic}
    for name, network in parts.items():
        fixture.load(network, f"{name}/")
    judged: list[Tensor] = []
    module.critic.register_forward_hook(lambda _, __, output: judged.append(output))

    z = fixture.input["z_slow"]
    fake = module.generator(z, z[:, :0])
    (generator,) = module.generator_losses(fake, z[:, :0]).values()
    generator.backward()
    gradients = {f"grad/{part}": parts[part] for part in ("fsgen", "vgen")}
    computed = {"fake_frame0": fake[:, :, 0], "loss_gen": generator}
    module.critic.zero_grad()
    (critic,) = module.critic_losses(fixture.input["real_video"], fake.detach(), z[:, :0]).values()
    critic.backward()
    in_generators_turn, computed["dis_fake"], computed["dis_real"] = judged
    assert torch.equal(in_generators_turn, computed["dis_fake"])
    computed["loss_dis"] = critic
    for prefix, network in {**gradients, "grad/vdis": module.critic}.items():
        for name in expected:
            if name.startswith(f"{prefix}/"):
                parameter = network.get_parameter(str(our_key(name.removeprefix(f"{prefix}/"))))
                # bn0 is frozen here: where the official gradient is zero ours is not there
                computed[name] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    clip_critic_singular_values(module.critic)
    computed |= named(module.critic, "svc/", expected)
    fixture.load(module.critic, "vdis/")
    clip_critic_weights(module.critic)
    fixture.check(computed | named(module.critic, "clip/", expected))


def check(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fixture.about["classes"][0]
    if first == "_clip_singular_value":
        check_clipping(fixture)
    elif first.startswith("FrameSeedGenerator"):
        check_temporal(fixture)
    elif first.startswith("VideoGenerator"):
        check_video(fixture)
    elif first.startswith("VideoDiscriminator"):
        check_critic(fixture, monkeypatch)
    elif first.startswith("TGANUpdaterVanilla"):
        check_losses(fixture)
    else:
        assert first.startswith("TGANUpdaterWGANSVC"), first
        check_step(fixture)


@pytest.mark.parametrize("path", PARAMETERS, ids=[f"parity-{path.stem}" for path in PARAMETERS])
def test_official_numbers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not PARITY:
        pytest.skip("REELBENCH_PARITY is not set: the official TGAN's numbers are not compared")
    assert FILES, f"no tgan_*.safetensors in REELBENCH_PARITY ({PARITY})"
    torch.manual_seed(0)
    check(Fixture(path), monkeypatch)
