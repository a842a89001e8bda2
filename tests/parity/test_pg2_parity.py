"""The official networks' numbers, reproduced: one test for each file `pg2_*.safetensors` under REELBENCH_PARITY."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datamodules.errors import BenchError
from datamodules.pose.maps import disc_maps, pg2_mask
from datamodules.pose.peaks import Rule, choose_peaks
from lightning_modules.pg2.discriminator import Discriminator
from lightning_modules.pg2.losses import Adversarial, bce, discriminator_loss, generator_loss, pose_mask_l1
from lightning_modules.pg2.module import PG2
from lightning_modules.pg2.networks import Generator
from lightning_modules.pg2.official import UNUSED, discriminator_names, generator_names, our_layout
from tests.parity.official import PARITY, OfficialNumbers, Tensors, official_files

FILES = official_files("pg2_*.safetensors")
# One parameter even without a file, so that what is missing is said and not just collected as nothing.
PARAMETERS = FILES or [Path("pg2_no_files")]


class Fixture(OfficialNumbers):
    """One file, and how its weights are loaded."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.classes = " ".join(self.about["classes"])

    def load(self, networks: Mapping[nn.Module, dict[str, str]]) -> None:
        """The official weights by our names; every variable must be met once, but for those that nothing reads."""
        left = {name for name in self.groups["weights"] if not UNUSED.fullmatch(name)}
        for network, names in networks.items():
            parameters = dict(network.named_parameters())
            assert set(names) == set(parameters)
            for ours, theirs in names.items():
                parameters[ours].data.copy_(our_layout(self.groups["weights"][theirs]))
                left.remove(theirs)
        assert not left

    def check(self, computed: Mapping[str, Tensor], exact: bool = False) -> None:
        """Every expected output, and no other, within the sidecar's tolerance, or equal."""
        expected = self.groups["output"]
        assert set(computed) == set(expected)
        for name, tensor in expected.items():
            ours = computed[name].detach()
            assert ours.shape == tensor.shape, name
            atol = 0 if exact else self.about["suggested_atol"][name]
            torch.testing.assert_close(ours, tensor, rtol=0, atol=atol, msg=name, check_dtype=not exact)


def denormalised(image: Tensor) -> Tensor:
    """As official pictures are written; `PG2.images` cuts to the same range."""
    return (image.clamp(-1, 1) + 1) * 127.5


def check_generator(fixture: Fixture) -> None:
    given, x, pose = fixture.constructor, fixture.input["x"], fixture.input["pose_target"]
    network = Generator(given["H"], given["W"], given["hidden"], given["z"], "maps", "_256" in fixture.classes)
    fixture.load({network: generator_names(network)})
    coarse, refined = network(x, pose, refine=True)
    assert torch.equal(network(x, pose, refine=False)[1], coarse)
    code, _ = network.coarse.code(x, pose)
    assert network.difference is not None
    fixture.check({"G1": coarse, "DiffMap": network.difference(coarse, x), "G2": refined, "z": code})


def check_discriminator(fixture: Fixture) -> None:
    given = fixture.constructor
    network = Discriminator(3, given["dim"], (given["H"], given["W"]))
    fixture.load({network: discriminator_names(network)})
    computed = {"y": network(fixture.input["x"])}
    assert torch.equal(network.eval()(fixture.input["x"]), computed["y"])  # batch statistics always
    fixture.check(computed)


def of_scheme(scheme: Adversarial, logits: Tensors, coarse: Tensor, fake: Tensor, given: Tensors) -> Tensors:
    """The official losses by their names."""
    target, mask = given["x_target"], given["mask_target"]
    l1 = pose_mask_l1(fake, target, mask)
    weight = {"market": 10, "deepfashion": 50}[scheme]
    return {
        "PoseMaskLoss1": pose_mask_l1(coarse, target, mask) - pose_mask_l1(coarse, target, None),
        "g_loss1": pose_mask_l1(coarse, target, mask),
        "PoseMaskLoss2": l1 - pose_mask_l1(fake, target, None),
        "L1Loss2": l1,
        "g_loss2": generator_loss(scheme, logits) + weight * l1,
        "d_loss": discriminator_loss(scheme, logits),
        "G1_denorm": denormalised(coarse),
        "G2_denorm": denormalised(fake),
    }


def check_losses(fixture: Fixture) -> None:
    given = fixture.input
    coarse, fake = given["G1"], given["G1"] + given["DiffMap"]
    orders = {"market": ("target", "source", "coarse", "fake"), "deepfashion": ("target", "fake", "source")}
    computed: Tensors = {}
    for scheme, short in (("market", "market"), ("deepfashion", "df")):
        parts = given[f"logits_{short}"].split(len(coarse))
        logits = dict(zip(orders[scheme], parts, strict=True))
        found = of_scheme(cast(Adversarial, scheme), logits, coarse, fake, given)
        computed |= {f"{short}_{name}": value for name, value in found.items()}
        if scheme == "market":
            computed["market_g2_g1_loss"] = bce(logits["fake"] - logits["coarse"], 1)
    fixture.check(computed)


def norms(names: Mapping[str, str], network: nn.Module, prefix: str) -> Tensor:
    """The gradients' norms of the official variables under `prefix`, in the order of their names."""
    ours = {theirs: network.get_parameter(name).grad for name, theirs in names.items() if theirs.startswith(prefix)}
    return torch.stack([cast(Tensor, ours[name]).norm() for name in sorted(ours)])


def check_model(fixture: Fixture) -> None:
    """Losses and gradients of the module's own two stages."""
    given, x, pose = fixture.constructor, fixture.input["x"], fixture.input["pose_target"]
    module = PG2((given["H"], given["W"]), hidden=given["hidden"], dim_z=given["z"], ndf=given["dim"])
    assert module.discriminator is not None
    names = generator_names(module.generator), discriminator_names(module.discriminator)
    fixture.load({module.generator: names[0], module.discriminator: names[1]})
    judged: list[Tensor] = []
    module.discriminator.register_forward_hook(lambda _, __, output: judged.append(output))
    target, mask = fixture.input["x_target"], fixture.input["mask_target"]

    module.enter(1)
    coarse, _ = module.generator(x, pose, refine=False)
    pose_mask_l1(coarse, target, mask).backward()
    computed = {"gradnorm_g_loss1": norms(names[0], module.generator, "Pose_AE")}

    module.zero_grad()
    module.enter(2)
    coarse, fake = module.generator(x, pose, refine=True)
    found = module.generator_losses(x, target, mask, coarse, fake)
    (found["adversarial"] + module.lambda_l1 * found["l1"]).backward()
    computed["gradnorm_g_loss2"] = norms(names[0], module.generator, "UAEnoFC")
    assert all(p.grad is None for p in module.generator.coarse.parameters())
    computed["D_z"] = judged[0]

    module.zero_grad()
    critic = module.critic_loss(x, target, coarse, fake)
    critic.backward()
    computed["gradnorm_d_loss"] = norms(names[1], module.discriminator, "Discriminator")
    assert all(p.grad is None for p in module.generator.parameters())
    torch.testing.assert_close(judged[1], judged[0])
    logits = dict(zip(("target", "source", "coarse", "fake"), judged[0].split(len(x)), strict=True))
    computed |= of_scheme("market", logits, coarse, fake, fixture.input)
    computed["g2_g1_loss"] = found["fake_over_coarse"]
    torch.testing.assert_close(critic, computed["d_loss"])
    fixture.check(computed)


def check_adam(fixture: Fixture) -> None:
    """The module's own optimizer, from zero: the deltas are the parameter."""
    module = PG2((64, 32), hidden=1, dim_z=1, ndf=1)
    optimizer = module.configure_optimizers()[0]
    parameter = nn.Parameter(fixture.input["p0"].clone())
    defaults = {key: optimizer.defaults[key] for key in ("lr", "betas", "eps")}
    ours = type(optimizer)([parameter], **defaults)
    computed = {}
    for step, gradient in enumerate(fixture.input["g"], start=1):
        parameter.grad = gradient
        ours.step()
        computed[f"delta_after_{step}"] = parameter.detach() - fixture.input["p0"]
    fixture.check(computed)
    for name, delta in fixture.groups["output"].items():  # the suggested 1e-8 would pass PyTorch's epsilon too
        torch.testing.assert_close(computed[name], delta, rtol=1e-5, atol=1e-11)


def with_confidence(places: Tensor) -> Tensor:
    """x and y, -1 where the joint is missing, as a pose."""
    return torch.cat([places, (places != -1).all(-1, keepdim=True).float()], -1)


def check_maps(fixture: Fixture) -> None:
    given = fixture.constructor
    market, fashion = (with_confidence(fixture.input[name]) for name in ("keypoints", "keypoints2"))
    small, large = (given["H"], given["W"]), (given["H2"], given["W2"])
    computed = {"pose_map": disc_maps(market, *small)}
    for name in fixture.groups["output"]:
        if name.startswith("mask"):
            radius = int(name.partition("_r")[2])
            computed[name] = pg2_mask(fashion, *large, radius) if "2_" in name else pg2_mask(market, *small, radius)
    fixture.check(computed, exact=True)


def check_peaks(fixture: Fixture) -> None:
    computed: Tensors = {}
    for name, expected in fixture.groups["output"].items():
        short, case = name.split("_")
        rule = cast(Rule, {"market": "market", "df": "deepfashion"}[short])
        cand, subset = (fixture.input[f"{kind}_{case}"].numpy() for kind in ("cand", "subset"))
        if (expected == -2).all():  # where the official converter fails
            with pytest.raises(BenchError, match="no person"):
                choose_peaks(cand, subset, rule)
            computed[name] = expected
        else:
            pose = choose_peaks(cand, subset, rule)
            computed[name] = torch.from_numpy(np.where(pose[:, 2:] > 0, pose[:, :2], -1))
    fixture.check(computed, exact=True)


def check(fixture: Fixture) -> None:
    name = fixture.about["name"].removesuffix("_256")
    {
        "pg2_generator": check_generator,
        "pg2_discriminator": check_discriminator,
        "pg2_losses": check_losses,
        "pg2_model_forward_losses": check_model,
        "pg2_adam": check_adam,
        "pg2_pose_maps_masks": check_maps,
        "pg2_valid_peaks": check_peaks,
    }[name](fixture)


@pytest.mark.parametrize("path", PARAMETERS, ids=[f"parity-{path.stem}" for path in PARAMETERS])
def test_official_numbers(path: Path) -> None:
    if not PARITY:
        pytest.skip("REELBENCH_PARITY is not set: the official PG2's numbers are not compared")
    assert FILES, f"no pg2_*.safetensors in REELBENCH_PARITY ({PARITY})"
    torch.manual_seed(0)
    check(Fixture(path))
