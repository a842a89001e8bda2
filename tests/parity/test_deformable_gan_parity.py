"""The official networks' numbers, reproduced: one test for each file `dgan_*.safetensors` under REELBENCH_PARITY."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datamodules.pose.maps import gaussian_maps
from lightning_modules.deformable_gan.losses import nearest_neighbour
from lightning_modules.deformable_gan.networks import Discriminator, Generator
from lightning_modules.deformable_gan.regions import Regions, regions, whole_body
from lightning_modules.deformable_gan.warp import warp
from tests.parity.official import PARITY, OfficialNumbers, official_files

FILES = official_files("dgan_*.safetensors")
# One parameter even without a file, so that what is missing is said and not just collected as nothing.
PARAMETERS = FILES or [Path("dgan_no_files")]
FLIPPED = 0.002  # share of pixels that may round to a neighbour: the reference adds up in another order
# Patterns of the files' keys, those of a port, -> ours.
KEYS = (
    (r"encoder_app\.net\.(\d)\.net\.1\.", r"appearance.\1.conv."),
    (r"encoder_app\.net\.(\d)\.net\.2\.", r"appearance.\1.norm."),
    (r"encoder_app\.net\.0\.", "appearance.0."),
    (r"encoder_pose\.net\.(\d)\.net\.1\.", r"pose.\1.conv."),
    (r"encoder_pose\.net\.(\d)\.net\.2\.", r"pose.\1.norm."),
    (r"encoder_pose\.net\.0\.", "pose.0."),
    (r"decoder\.net\.(\d)\.net\.1\.", r"decoder.\1.conv."),
    (r"decoder\.net\.(\d)\.net\.3\.", r"decoder.\1.norm."),
    (r"decoder\.net\.\d\.(?=weight|bias)", "image."),
    (r"net\.0\.(?=weight|bias)", "first."),
)


class Fixture(OfficialNumbers):
    """One file, and how its weights are loaded."""

    def load(self, network: nn.Module) -> None:
        """The official weights; every key on both sides must be met."""
        network.load_state_dict({our_key(name): tensor for name, tensor in self.groups["weights"].items()})
        network.eval()

    def check(self, computed: Mapping[str, Tensor], flipped: float = 0.0) -> None:
        """Every expected output, and no other, within the sidecar's tolerance.

        Args:
            flipped: share of an output's places that may be off, where the sidecar allows some.
        """
        assert set(computed) == set(self.expected) == set(self.about["suggested_atol"])
        for name, tensor in self.expected.items():
            ours = computed[name].detach()
            assert ours.shape == tensor.shape, name
            off = (ours.double() - tensor.double()).abs() > self.about["suggested_atol"][name]
            assert off.float().mean() <= flipped, f"{name}: {off.sum()} of {off.numel()} places are off"


def our_key(name: str) -> str:
    for pattern, ours in KEYS:
        if re.match(pattern, name):
            return re.sub(pattern, ours, name, count=1)
    match = re.match(r"net\.(\d)\.net\.(\d)\.(\w+)", name)  # the discriminator's
    assert match, name
    return f"rest.{int(match[1]) - 1}.{'conv' if match[2] == '1' else 'norm'}.{match[3]}"


def poses(yx: Tensor) -> Tensor:
    """Official key-points ... 18 2 as y and x, -1 for missing, -> ... 18 3."""
    there = (yx != -1).all(-1, keepdim=True)
    return torch.cat([yx.flip(-1), there], -1).float()


def warps(fixture: Fixture, name: str = "warps", masks: str | None = "masks") -> Regions:
    maps = fixture.input[name]
    assert (maps[..., 6:] == 0).all()  # affine
    shape = fixture.input["masks"].shape[-2:]
    there = fixture.input[masks] > 0 if masks else torch.ones(*maps.shape[:2], *shape, dtype=torch.bool)
    return Regions(maps[..., :6], there)


def check_layer(fixture: Fixture) -> None:
    computed = {}
    for name in fixture.expected:
        _, level, how, *rest = name.split("_")
        features = fixture.input[f"feat_{level}"]
        if how == "fullbody":
            computed[name] = warp(features, warps(fixture, "warps_full", None))
        else:
            computed[name] = warp(features, warps(fixture), how, "bilinear" if rest else "nearest")  # type: ignore[arg-type]
    fixture.check(computed, FLIPPED)


def check_generator(fixture: Fixture) -> None:
    given = fixture.constructor
    network = Generator(given["warp_skip"], given["enc"], given["dec"][:-1])
    fixture.load(network)
    assert sum(p.numel() for p in network.parameters()) == fixture.about["n_params"]
    image, own, wanted = fixture.input["x"].split([3, given["pose_dim"], given["pose_dim"]], 1)
    fixture.check({"y": network(image, own, wanted, warps(fixture))})


def check_discriminator(fixture: Fixture) -> None:
    network = Discriminator(fixture.constructor["w"])
    fixture.load(network)
    assert sum(p.numel() for p in network.parameters()) == fixture.about["n_params"]
    parts = fixture.input["x"].split([3, 18, 3, 18], 1)
    fixture.check({"p": network(*parts).sigmoid().flatten(1)})


def check_loss(fixture: Fixture) -> None:
    drawn, real = fixture.input["predicted"], fixture.input["truth"]
    areas = {name: int(name.rpartition("_")[2]) for name in fixture.expected}
    assert areas
    fixture.check(
        {n: nearest_neighbour(drawn, real, area, "none" if "map" in n else "mean") for n, area in areas.items()}
    )


def check_regions(fixture: Fixture) -> None:
    height, width = fixture.constructor["H"], fixture.constructor["W"]
    given, wanted = poses(fixture.input["source"]), poses(fixture.input["target"])
    found, body = regions(given, wanted, height, width), whole_body(given, wanted, height, width)
    affine = torch.zeros(2)
    maps = gaussian_maps(wanted[1], height, width).movedim(0, -1)
    fixture.check(
        {
            "masks_packbits": torch.from_numpy(np.packbits(found.masks.numpy(), axis=-1)),
            "transforms": torch.cat([found.maps, affine.expand(*found.maps.shape[:2], 2)], -1),
            "uniform_transform": torch.cat([body.maps, affine.expand(*body.maps.shape[:2], 2)], -1),
            "heatmap_pair1_stride4": maps[::4, ::4],
        }
    )


CHECKS: dict[str, Callable[[Fixture], None]] = {
    "AffineTransformLayer (pose_transform.py)": check_layer,
    'make_discriminator(disc_type="call")': check_discriminator,
    "DeformablePose_GAN.nn_loss": check_loss,
    "nn_loss (conditional_gan.py)": check_loss,
    "pose_masks(target, size)": check_regions,
}


@pytest.mark.parametrize("path", PARAMETERS, ids=[f"parity-{path.stem}" for path in PARAMETERS])
def test_official_numbers(path: Path) -> None:
    if not PARITY:
        pytest.skip("REELBENCH_PARITY is not set: the official Deformable GAN's numbers are not compared")
    assert FILES, f"no dgan_*.safetensors in REELBENCH_PARITY ({PARITY})"
    fixture = Fixture(path)
    first = fixture.about["classes"][0]
    (check_generator if first.startswith("make_generator(") else CHECKS[first])(fixture)
