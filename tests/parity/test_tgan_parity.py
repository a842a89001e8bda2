"""TGAN's official numbers, reproduced: one test for each file `tgan_*.safetensors` under REELBENCH_PARITY."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lightning_modules.tgan.clipping import clip_discriminator, clip_singular_values, clip_weights
from lightning_modules.tgan.module import TGAN, statistics_kept
from lightning_modules.tgan.networks import Discriminator, FrameSeedGenerator, ImageGenerator, VideoGenerator
from lightning_modules.tgan.official import LEAVES, load_chainer

PARITY = os.environ.get("REELBENCH_PARITY")
FILES = sorted(Path(PARITY).glob("tgan_*.safetensors")) if PARITY else []
PARAMETERS = FILES or [Path("tgan_no_files")]  # one parameter even without a file, so that what is missing is said
Arrays = dict[str, Tensor]


def seeds(built: dict[str, Any], beta: bool = False) -> FrameSeedGenerator:
    a, b, c = built["w"]
    return FrameSeedGenerator(built["z_slow_dim"], built["z_fast_dim"], (a, b, c, c), beta)


def images(built: dict[str, Any]) -> ImageGenerator:
    dims = built["z_slow_dim"], built["z_fast_dim"]
    return ImageGenerator(*dims, built["out_channels"], built["conv_ch"], built["bottom_width"])


def after(network: torch.nn.Module, wanted: Arrays, prefix: str = "") -> Arrays:
    """Running statistics under the file's names."""
    names = {"avg_mean_after": "running_mean", "avg_var_after": "running_var"}
    found = {}
    for key in wanted:
        layer, _, leaf = key.removeprefix(prefix).rpartition("/")
        if key.startswith(prefix) and leaf in names:
            found[key] = network.get_buffer(f"{layer}.{names[leaf]}").clone()
    return found


def frame_seeds(built: dict[str, Any], weights: Arrays, given: Arrays, wanted: Arrays, beta: bool = False) -> Arrays:
    network, found = seeds(built, beta), {}
    for mode in ("eval", "train"):
        load_chainer(network, weights)
        found[f"z_fast_{mode}"] = network.train(mode == "train")(given["z_slow"])
    return found | after(network, wanted)


def frame_seeds_beta(built: dict[str, Any], weights: Arrays, given: Arrays, wanted: Arrays) -> Arrays:
    return frame_seeds(built, weights, given, wanted, beta=True)


def videos(built: dict[str, Any], weights: Arrays, given: Arrays, wanted: Arrays) -> Arrays:
    image, found = images(built), {}
    generator = VideoGenerator(FrameSeedGenerator(built["z_slow_dim"], built["z_fast_dim"], (4, 4, 4, 4)), image)
    load_chainer(image, weights)
    image.eval()
    found["frame0_eval"] = image(given["z_slow"][:1], given["z_fast"][:1, :, 0])
    for mode in ("eval", "train"):
        load_chainer(image, weights)
        image.train(mode == "train")
        found[f"video_{mode}"] = generator.render(given["z_slow"], given["z_fast"])
    return found | after(image, wanted)


def discriminators(built: dict[str, Any], weights: Arrays, given: Arrays, wanted: Arrays) -> Arrays:
    sigma = built.get("sigma", 0.0)
    network = Discriminator(built["in_channels"], built["mid_ch"], built["top_width"], sigma=sigma)
    noise = [given[f"noise{i}"] for i in range(4)] if sigma else None
    found = {}
    for mode in ("eval", "train"):
        load_chainer(network, weights)
        found[f"y_{mode}"] = network.train(mode == "train")(given["x"], noise)
    return found | after(network, wanted)


def singular_values(built: dict[str, Any], weights: Arrays, given: Arrays, wanted: Arrays) -> Arrays:
    found = {f"out{i}": clip_singular_values(given[f"A{i}"]) for i in range(3)}
    module = TGAN(size=32, ngf=4, ndf=1, z_slow_dim=2, z_fast_dim=2)
    parameter = torch.nn.Parameter(given["p0"].clone())
    options = {k: v for k, v in module.configure_optimizers()[0].defaults.items() if k in ("lr", "alpha", "eps")}
    optimizer = torch.optim.RMSprop([parameter], **options)
    for step, gradient in enumerate(given["g"], start=1):
        parameter.grad = gradient
        optimizer.step()
        found[f"rmsprop_after_{step}"] = parameter.detach().clone()
    return found


def losses(built: dict[str, Any], weights: Arrays, given: Arrays, wanted: Arrays) -> Arrays:
    small: dict[str, Any] = {"size": 32, "ngf": 4, "ndf": 1, "z_slow_dim": 2, "z_fast_dim": 2}
    wgan, vanilla = TGAN(**small), TGAN(**small, loss="vanilla", clipping="none")
    fake, real = given["dis_fake"], given["dis_real"]
    nothing = torch.full_like(fake, -1e9)  # a score whose cross entropy as real is 0
    return {
        "wgan_loss_gen": wgan.generator_loss(fake),
        "wgan_loss_dis": wgan.discriminator_loss(fake, real),
        "vanilla_loss_gen": vanilla.generator_loss(fake),
        "vanilla_loss_dis_fake": vanilla.discriminator_loss(fake, nothing),
        "vanilla_loss_dis_real": vanilla.discriminator_loss(-nothing, real),
    }


def whole_step(built: dict[str, Any], weights: Arrays, given: Arrays, wanted: Arrays) -> Arrays:
    """As `TGAN.training_step` goes, but for the optimizers."""
    model = TGAN(size=32, ngf=4, ndf=1, z_slow_dim=2, z_fast_dim=2)
    own_seeds, own_images = seeds(built), images(built)
    critic = Discriminator(built["out_channels"], built["mid_ch"], built["bottom_width"])
    model.generator, model.discriminator = VideoGenerator(own_seeds, own_images), critic
    networks: dict[str, torch.nn.Module] = {"fsgen": own_seeds, "vgen": own_images, "vdis": critic}

    def fill() -> None:
        for name, network in networks.items():
            own = {k.removeprefix(f"{name}/"): v for k, v in weights.items() if k.startswith(f"{name}/")}
            load_chainer(network, own)
            network.train().zero_grad()

    fill()
    with torch.enable_grad():
        fake = model.generator(given["z_slow"])
        with statistics_kept(critic):
            of_generator = model.generator_loss(critic(fake))
        of_generator.backward()
        critic.zero_grad()
        on_fake = critic(fake.detach())
        on_real = critic(given["real_video"])
        of_critic = model.discriminator_loss(on_fake, on_real)
        of_critic.backward()
    found = {"dis_fake": on_fake, "dis_real": on_real, "fake_frame0": fake[:, :, 0]}
    found |= {"loss_gen": of_generator, "loss_dis": of_critic}

    def of(network: torch.nn.Module, key: str) -> Any:
        layer, _, leaf = key.rpartition("/")
        return getattr(network.get_submodule(layer), LEAVES[leaf])

    for name, network in networks.items():
        found |= after(network, wanted, f"{name}/")
        for key in (k for k in wanted if k.startswith(f"grad/{name}/")):
            parameter = of(network, key.removeprefix(f"grad/{name}/"))
            found[key] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
    clip_discriminator(critic)
    found |= {key: of(critic, key[4:]).clone() for key in wanted if key.startswith("svc/")}
    fill()
    clip_weights(critic)
    found |= {key: of(critic, key[5:]).clone() for key in wanted if key.startswith("clip/")}
    return found


COMPUTED: dict[str, Callable[[dict[str, Any], Arrays, Arrays, Arrays], Arrays]] = {
    "tgan_frame_seed_generator": frame_seeds,
    "tgan_frame_seed_generator_beta": frame_seeds_beta,
    "tgan_video_generator": videos,
    "tgan_video_discriminator": discriminators,
    "tgan_video_discriminator_noise": discriminators,
    "tgan_clip_singular_value": singular_values,
    "tgan_losses": losses,
    "tgan_wgan_svc_step": whole_step,
}


@pytest.mark.parametrize("path", PARAMETERS, ids=[f"parity-{path.stem}" for path in PARAMETERS])
def test_official_numbers(path: Path) -> None:
    if not PARITY:
        pytest.skip("REELBENCH_PARITY is not set: TGAN's official numbers are not compared")
    assert FILES, f"no tgan_*.safetensors in REELBENCH_PARITY ({PARITY})"
    groups: dict[str, Arrays] = {"weights": {}, "input": {}, "output": {}}
    for key, tensor in load_file(path).items():
        group, name = key.split("/", 1)
        groups[group][name] = tensor
    about, wanted = json.loads(path.with_suffix(".json").read_text()), groups["output"]
    with torch.no_grad():
        ours = COMPUTED[path.stem](about["constructor"], groups["weights"], groups["input"], wanted)
    assert set(ours) == set(wanted) == set(about["suggested_atol"])
    for name, expected in wanted.items():
        torch.testing.assert_close(
            ours[name].reshape(expected.shape), expected, rtol=0, atol=about["suggested_atol"][name], msg=name
        )
