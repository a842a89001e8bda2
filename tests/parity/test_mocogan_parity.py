"""The official networks' numbers, reproduced: one test for each file `mocogan_*.safetensors` under REELBENCH_PARITY."""

from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.mocogan.module import MoCoGAN
from lightning_modules.mocogan.networks import (
    CategoricalVideoDiscriminator,
    Discriminator,
    ImageDiscriminator,
    PatchImageDiscriminator,
    PatchVideoDiscriminator,
    VideoDiscriminator,
    VideoGenerator,
)
from tests.parity.official import PARITY, OfficialNumbers, official_files

FILES = official_files("mocogan_*.safetensors")
# One parameter even without a file, so that what is missing is said and not just collected as nothing.
PARAMETERS = FILES or [Path("mocogan_no_files")]
# The official constructors' names and ours; the fixtures' `video_length` is the length of the input `e` here.
RENAMED = {
    "n_channels": "channels",
    "dim_categorical": "dim_category",
    "dim_z_content": "dim_content",
    "dim_z_category": "dim_category",
    "dim_z_motion": "dim_motion",
}
DISCRIMINATORS: dict[str, type[Discriminator]] = {
    cls.__name__: cls
    for cls in (
        ImageDiscriminator,
        PatchImageDiscriminator,
        VideoDiscriminator,
        PatchVideoDiscriminator,
        CategoricalVideoDiscriminator,
    )
}


Network = TypeVar("Network", bound=nn.Module)


class Fixture(OfficialNumbers):
    """One file, and how its weights are loaded."""

    def load(self, network: Network) -> Network:
        network.load_state_dict(self.groups["weights"], strict=True)
        return network

    def arguments(self) -> dict[str, Any]:
        """Of our constructors; `size` stays at its default, with which ours are the official networks."""
        return {RENAMED.get(k, k): v for k, v in self.about["constructor"].items() if k != "video_length"}


def check_generator(fixture: Fixture) -> None:
    network = VideoGenerator(**fixture.arguments())
    given = fixture.input
    no_category = given["h0"].new_empty(len(given["h0"]), 0)
    codes = given["h0"], given["e"].transpose(0, 1), given["z_content"], given.get("one_hot", no_category)
    computed: dict[str, Tensor] = {"z": fixture.load(network).eval().latents(*codes).flatten(0, 1)}
    for mode in ("eval", "train"):
        fixture.load(network).train(mode == "train")
        computed[f"video_{mode}"] = network(*codes)
    for name in fixture.groups["output"]:
        if name.startswith("running_"):  # running_mean_main10_after
            statistic, layer, _ = name.rsplit("_", 2)
            computed[name] = network.get_buffer(f"main.{layer.removeprefix('main')}.{statistic}")
    fixture.check(computed)


def check_discriminator(fixture: Fixture, official: type[Discriminator]) -> None:
    network = official(**fixture.arguments())
    computed: dict[str, Tensor] = {}
    for mode in ("eval", "train"):
        logits = fixture.load(network).train(mode == "train")(fixture.input["x"])
        # The official code drops all axes of length one; ours keeps B classes T' H' W'.
        computed[f"h_{mode}"] = logits[:, :1].reshape(fixture.groups["output"][f"h_{mode}"].shape)
        if logits.shape[1] > 1:
            computed[f"categ_{mode}"] = logits[:, 1:].flatten(1)
    fixture.check(computed)


class Given(nn.Module):
    """Stands in for a discriminator: returns the given logits one after another."""

    def __init__(self, *logits: Tensor) -> None:
        super().__init__()
        self.queue = list(logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.queue.pop(0)


def check_losses(fixture: Fixture) -> None:
    given = fixture.input
    n, categories = given["cat_real"].shape
    image = {k: given[f"img_{k}"][:, None] for k in ("real", "fake")}
    video = {k: torch.cat([given[f"vid_{k}"], given[f"cat_{k}"]], 1)[..., None, None, None] for k in ("real", "fake")}

    def module(images: list[Tensor], videos: list[Tensor], **options: Any) -> Any:
        built: Any = MoCoGAN(ngf=1, ndf=1, dim_category=categories, video_discriminator="categorical", **options)
        built.image_discriminator, built.video_discriminator = Given(*images), Given(*videos)
        built.fake_clips = lambda count: (torch.empty(count), given["cat_gen"])
        built.fake_frames = lambda count: torch.empty(count)
        return built

    def total(losses: dict[str, Tensor]) -> Tensor:
        return torch.stack(list(losses.values())).sum()

    real, x = [image["real"], image["fake"]], torch.empty(n)
    both = [video["real"], video["fake"]]
    fakes = [image["fake"]], [video["fake"]]
    fixture.check(
        {
            "l_image_dis": total(module(real, []).image_discriminator_losses(x)),
            "l_video_dis": total(module([], both).video_discriminator_losses(x, None)),
            "l_video_dis_categ": total(
                module([], both, use_categories=True).video_discriminator_losses(x, given["cat_gt"])
            ),
            "l_gen": total(module(*fakes).generator_losses(n, n)),
            "l_gen_infogan": total(module(*fakes, use_infogan=True).generator_losses(n, n)),
        }
    )


def check(fixture: Fixture) -> None:
    (official,) = fixture.about["classes"]
    if official == "VideoGenerator":
        check_generator(fixture)
    elif official.startswith("Trainer"):
        check_losses(fixture)
    else:
        check_discriminator(fixture, DISCRIMINATORS[official])


@pytest.mark.parametrize("path", PARAMETERS, ids=[f"parity-{path.stem}" for path in PARAMETERS])
def test_official_numbers(path: Path) -> None:
    if not PARITY:
        pytest.skip("REELBENCH_PARITY is not set: the official MoCoGAN's numbers are not compared")
    assert FILES, f"no mocogan_*.safetensors in REELBENCH_PARITY ({PARITY})"
    torch.manual_seed(0)
    check(Fixture(path))
