"""The official networks' numbers, reproduced: one test for each file `p2phd_*.safetensors` under REELBENCH_PARITY."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.pix2pixhd.condition import Condition
from lightning_modules.pix2pixhd.discriminator import Judged, MultiscaleDiscriminator, judge_both
from lightning_modules.pix2pixhd.instances import edges, pool
from lightning_modules.pix2pixhd.losses import gan_loss, perceptual
from lightning_modules.pix2pixhd.module import Pix2PixHD
from lightning_modules.pix2pixhd.networks import GlobalGenerator, LocalEnhancer
from metrics.features.vgg import Vgg19Features
from tests.parity.official import PARITY, OfficialNumbers, Tensors, official_files

FILES = official_files("p2phd_*.safetensors")
# One parameter even without a file, so that what is missing is said and not just collected as nothing.
PARAMETERS = FILES or [Path("p2phd_no_files")]


class Fixture(OfficialNumbers):
    """One file, and how its weights are loaded."""

    def load(self, network: nn.Module, part: str = "", rename: Callable[[str], str] = str) -> None:
        """The official weights, strictly."""
        named = {n.removeprefix(part): w for n, w in self.groups["weights"].items() if n.startswith(part)}
        network.load_state_dict({rename(name): weight for name, weight in named.items()}, strict=True)


def maps(fixture: Fixture, *names: str) -> list[Tensor]:
    """Maps of numbers, which the official code holds as floats: N 1 H W -> N H W int64."""
    return [fixture.input[name][:, 0].long() for name in names]


def check_condition(fixture: Fixture) -> None:
    labels, instances = maps(fixture, "label", "inst")
    condition = Condition(fixture.constructor["label_nc"], True, 0)
    whole = condition({"labels": labels, "instances": instances})
    fixture.check({"edges": edges(instances), "input_label": whole})


def check_encoder(fixture: Fixture) -> None:
    given = fixture.constructor
    network = GlobalGenerator(
        given["input_nc"], given["output_nc"], given["ngf"], given["n_downsampling"], 0, given["norm"]
    )
    fixture.load(network)
    unpooled = network(fixture.input["x"])
    fixture.check({"feat": pool(unpooled, *maps(fixture, "inst")), "unpooled": unpooled})


def check_gan_loss(fixture: Fixture) -> None:
    judged = [[fixture.input["f0"], fixture.input[name]] for name in ("p0", "p1")]
    computed = {}
    for name, real in (("real", True), ("fake", False)):
        computed[f"lsgan_{name}"] = gan_loss(judged, real)
        # The official cross entropy was given the sigmoid of the verdicts; ours takes the verdicts.
        computed[f"bce_sigmoid_{name}"] = gan_loss(judged, real, "bce")
    fixture.check(computed)


def check_global_generator(fixture: Fixture) -> None:
    network = GlobalGenerator(**fixture.constructor)
    computed = {}
    for name, training in (("y", False), ("y_train", True)):
        fixture.load(network)
        computed[name] = network.train(training)(fixture.input["x"])
    fixture.check({name: computed[name] for name in fixture.groups["output"]})


def check_local_enhancer(fixture: Fixture) -> None:
    network = LocalEnhancer(**fixture.constructor).eval()
    fixture.load(network)
    fixture.check({"y": network(fixture.input["x"])})
    # What is frozen for a stage computes the same.
    fixture.check({"y": network(fixture.input["x"], frozen=True)})


def check_discriminator(fixture: Fixture) -> None:
    given = dict(fixture.constructor)
    assert not given.pop("use_sigmoid")
    features = given.pop("getIntermFeat")
    network = MultiscaleDiscriminator(**given, features=features).eval()
    fixture.load(network)

    def named(judged: Judged) -> Tensors:
        return {f"pred_{i}_{j}": m for i, maps in enumerate(judged) for j, m in enumerate(maps)}

    fixture.check(named(network(fixture.input["x"])))
    doubled = judge_both(network, fixture.input["x"], fixture.input["x"], given["norm"])
    for half in doubled:
        fixture.check(named(half))


def check_vgg(fixture: Fixture) -> None:
    network = Vgg19Features(64 // fixture.constructor["div"])
    fixture.load(network, rename=lambda name: f"backbone.features.{name.partition('.')[2]}")
    features = network(fixture.input["x"])
    loss = perceptual(network, fixture.input["x"], fixture.input["y"])
    fixture.check({"loss": loss, "relu1_1_mean": features[0].mean((2, 3)), "relu5_1": features[4]})


def check_losses(fixture: Fixture) -> None:
    given = fixture.constructor
    module = Pix2PixHD(
        size=given["S"],
        label_nc=given["label_nc"],
        feat_num=given["feat_num"] if given["use_features"] else 0,
        ngf=given["ngf"],
        n_downsample_global=given["n_down"],
        n_blocks_global=given["n_blocks"],
        nef=given["nef"],
        n_downsample_E=sum(name.endswith("weight") for name in fixture.groups["weights"] if "netE/" in name) // 2 - 1,
        ndf=given["ndf"],
        n_layers_D=given["n_layers_D"],
        num_D=given["num_D"],
        lambda_feat=given["lambda_feat"],
        lambda_vgg=0,
    )
    fixture.load(module.generator.net, "netG/")
    fixture.load(module.discriminator, "netD/")
    if module.generator.encoder is not None:
        fixture.load(module.generator.encoder, "netE/")
    labels, instances = maps(fixture, "label", "inst")
    images = {"video": fixture.input["image"], "labels": labels, "instances": instances}
    shown, real, fake = module.make(images, "joint")
    beside = torch.cat([shown, real], 1), torch.cat([shown, fake.detach()], 1)
    on_real, on_fake = judge_both(module.discriminator, *beside, norm=module.norm)
    of_generator = module.generator_losses(shown, real, fake, on_real)
    of_discriminator = module.discriminator_losses(on_real, on_fake)
    fixture.check(
        {
            "fake_image": fake,
            "G_GAN": of_generator["generator"],
            "G_GAN_Feat": of_generator["feature_matching"],
            # The official training script halves the sum of what is stored here.
            "D_real": 2 * of_discriminator["discriminator_real"],
            "D_fake": 2 * of_discriminator["discriminator_fake"],
        }
    )


CHECKS: dict[str, Callable[[Fixture], None]] = {
    "Pix2PixHDModel.get_edges": check_condition,
    "Encoder": check_encoder,
    "GANLoss": check_gan_loss,
    "GlobalGenerator": check_global_generator,
    "LocalEnhancer": check_local_enhancer,
    "MultiscaleDiscriminator": check_discriminator,
    "VGGLoss": check_vgg,
    "Pix2PixHDModel.forward": check_losses,
}


@pytest.mark.parametrize("path", PARAMETERS, ids=[f"parity-{path.stem}" for path in PARAMETERS])
def test_official_numbers(path: Path) -> None:
    if not PARITY:
        pytest.skip("REELBENCH_PARITY is not set: the official pix2pixHD's numbers are not compared")
    assert FILES, f"no p2phd_*.safetensors in REELBENCH_PARITY ({PARITY})"
    fixture = Fixture(path)
    CHECKS[fixture.about["classes"][0]](fixture)
