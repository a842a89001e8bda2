"""The official networks' numbers, reproduced: one test for each file `vid2vid_*.safetensors` under REELBENCH_PARITY."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.pix2pixhd.discriminator import MultiscaleDiscriminator
from lightning_modules.pix2pixhd.networks import Norm
from lightning_modules.vid2vid.losses import (
    discriminator_terms,
    flow_losses,
    generator_terms,
    masked_l1,
    over_time,
    steady_loss,
)
from lightning_modules.vid2vid.networks import CompositeGenerator, CompositeLocalGenerator, Made
from lightning_modules.vid2vid.temporal import groups, reach
from lightning_modules.vid2vid.warp import warp
from tests.parity.official import PARITY, OfficialNumbers, official_files

FILES = official_files("vid2vid_*.safetensors")
# One parameter even without a file, so that what is missing is said and not just collected as nothing.
PARAMETERS = FILES or [Path("vid2vid_no_files")]
WIDEST = 64  # of a discriminator's first layer


class Fixture(OfficialNumbers):
    """One file, and how its weights are loaded."""

    def load(self, network: nn.Module, part: str = "") -> None:
        """The official weights, strictly."""
        named = {n.removeprefix(part): w for n, w in self.groups["weights"].items() if n.startswith(part)}
        network.load_state_dict(named, strict=True)

    def check(self, computed: Mapping[str, Tensor]) -> None:
        """Every expected output but what is wrong on purpose, and no other, within the sidecar's tolerance."""
        expected = {name: tensor for name, tensor in self.expected.items() if not name.endswith("NEGATIVE_CONTROL")}
        assert set(computed) == set(expected)
        for name, tensor in expected.items():
            ours = computed[name].detach()
            assert ours.shape == tensor.shape, name
            torch.testing.assert_close(ours, tensor, rtol=0, atol=self.about["suggested_atol"][name], msg=name)


def check_generator(fixture: Fixture) -> None:
    local = fixture.about["classes"] == ["CompositeLocalGenerator"]
    network = (CompositeLocalGenerator if local else CompositeGenerator)(**fixture.constructor)
    assert sum(p.numel() for p in network.parameters()) == fixture.about["n_params"]
    given, computed, mask = fixture.input, {}, fixture.input.get("mask")
    coarse = None
    if local:
        nothing = torch.empty(0)
        foreground = given.get("img_fg_feat_coarse")
        coarse = Made(nothing, None, None, nothing, given["img_feat_coarse"], given["flow_feat_coarse"], foreground)
    for mode in ("eval", "train"):
        for raw_only in (False, True):
            fixture.load(network)
            made = network.train(mode == "train")(given["label"], given["img_prev"], mask, coarse, raw_only)
            if raw_only:
                computed[f"img_final_raw_only_{mode}"] = made.frame
                continue
            assert made.flow is not None
            found = {"img_final": made.frame, "flow": made.flow, "weight": made.weight, "img_raw": made.raw}
            found |= {"img_feat": made.maps, "flow_feat": made.flow_maps, "img_fg_feat": made.foreground_maps}
            found |= {"img_warp": warp(given["img_prev"][:, -3:], made.flow)}
            computed |= {f"{name}_{mode}": tensor for name, tensor in found.items() if tensor is not None}
    fixture.check({name: computed[name] for name in fixture.expected})


def check_discriminator(fixture: Fixture) -> None:
    given = dict(fixture.constructor)
    features = given.pop("getIntermFeat")
    network = MultiscaleDiscriminator(**given, features=features, widest=WIDEST)
    assert sum(p.numel() for p in network.parameters()) == fixture.about["n_params"]
    computed: dict[str, Tensor] = {}
    for mode in ("eval", "train"):
        fixture.load(network)
        judged = network.train(mode == "train")(fixture.input["x"])
        computed |= {f"pred_{i}_{j}_{mode}": m for i, maps in enumerate(judged) for j, m in enumerate(maps)}
    fixture.check({name: computed[name] for name in fixture.expected})


def check_resample(fixture: Fixture) -> None:
    picture, flow = fixture.input["image"], fixture.input["flow"]
    still = warp(picture, torch.zeros_like(flow))
    fixture.check({"warp": warp(picture, flow), "zero_flow": still})
    torch.testing.assert_close(still, picture, rtol=0, atol=1e-5)


def check_skips(fixture: Fixture) -> None:
    given = fixture.constructor
    computed: dict[str, Tensor] = {}
    chunk, frames, scales = given["chunk"], given["tD"], given["t_scales"]
    for c in range(given["n_chunks"]):
        start, stop = c * chunk, (c + 1) * chunk
        for scale in range(scales):
            if found := groups(start, stop, frames, scale):
                computed[f"s{scale}_c{c}"] = torch.tensor(found).float()
        computed[f"kept_c{c}"] = torch.arange(max(0, stop - reach(frames, scales)), stop).float()
    fixture.check({name: tensor.to(fixture.expected[name].dtype) for name, tensor in computed.items()})


def check_losses(fixture: Fixture) -> None:
    given, x = fixture.constructor, fixture.input
    arguments: tuple[int, int, int, Norm] = (given["ndf"], given["n_layers_D"], given["num_D"], "batch")
    images = MultiscaleDiscriminator(given["label_nc"] + 3, *arguments, widest=WIDEST)
    time = MultiscaleDiscriminator(5 * given["tD"] - 2, *arguments, widest=WIDEST)
    fixture.load(images, "netD/")
    fixture.load(time, "netD_T0/")
    real, *fakes = (torch.cat([x["real_A"], x[name]], 1) for name in ("real_B", "fake_B", "fake_B_raw"))
    of_images = [generator_terms(images(fake), images(real)) for fake in fakes]
    on_real, on_fake = discriminator_terms(images, real, fakes)
    true, moved = (over_time(x[n].transpose(1, 2), x["T_flow_ref"].transpose(1, 2)) for n in ("T_real_B", "T_fake_B"))
    of_time = generator_terms(time(moved), time(true))
    time_real, time_fake = discriminator_terms(time, true, [moved])
    flow, moved_real = flow_losses(x["flow"], x["flow_ref"], x["conf_ref"], x["real_B"], x["real_B_prev"])
    weight = masked_l1(x["weight"], torch.zeros_like(x["weight"]), x["conf_ref"])
    fixture.check(
        {
            "G_GAN": of_images[0][0] + of_images[1][0],
            "G_GAN_Feat": given["lambda_feat"] * (of_images[0][1] + of_images[1][1]),
            "D_real": 2 * on_real,  # the official training script halves the sum of what is stored here
            "D_fake": 2 * on_fake,
            "G_Warp": given["lambda_T"] * steady_loss(x["fake_B"], x["fake_B_prev"], x["flow_ref"], x["conf_ref"]),
            "F_Flow": given["lambda_F"] / 2 ** (given["n_scales_spatial"] - 1) * flow,
            "F_Warp": given["lambda_T"] * moved_real,
            "W": weight * given["no_first_img"],
            "G_T_GAN": of_time[0],
            "G_T_GAN_Feat": given["lambda_feat"] * of_time[1],
            "D_T_real": 2 * time_real,
            "D_T_fake": 2 * time_fake,
            "G_T_Warp": torch.zeros(()),  # officially always 0
            "warp_real_prev": warp(x["real_B_prev"], x["flow"]),
        }
    )


CHECKS: dict[str, Callable[[Fixture], None]] = {
    "CompositeGenerator": check_generator,
    "CompositeLocalGenerator": check_generator,
    "MultiscaleDiscriminator": check_discriminator,
    "BaseNetwork.resample": check_resample,
    "get_skipped_frames": check_skips,
    "Vid2VidModelD.forward (image and temporal)": check_losses,
}


@pytest.mark.parametrize("path", PARAMETERS, ids=[f"parity-{path.stem}" for path in PARAMETERS])
def test_official_numbers(path: Path) -> None:
    if not PARITY:
        pytest.skip("REELBENCH_PARITY is not set: the official vid2vid's numbers are not compared")
    assert FILES, f"no vid2vid_*.safetensors in REELBENCH_PARITY ({PARITY})"
    fixture = Fixture(path)
    CHECKS[fixture.about["classes"][0]](fixture)
