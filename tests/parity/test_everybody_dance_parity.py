"""The official model's numbers, reproduced: one test for each `edn_*_forward.safetensors` under REELBENCH_PARITY."""

from pathlib import Path

import pytest
import torch
from torch import nn

from lightning_modules.everybody_dance.module import EverybodyDance, pairs
from lightning_modules.pix2pixhd.discriminator import judge_both
from tests.parity.official import PARITY, OfficialNumbers, official_files

# The other files of the name are of the poses' preparation, see tests/datamodules/pose.
FILES = official_files("edn_*_forward.safetensors")
# One parameter even without a file, so that what is missing is said and not just collected as nothing.
PARAMETERS = FILES or [Path("edn_no_files")]
FACE = 1  # the step: of the stage in which faces are trained


class Fixture(OfficialNumbers):
    """One file, and how its weights are loaded."""

    def load(self, network: nn.Module, part: str) -> None:
        """The official weights, strictly."""
        named = {n.removeprefix(part): w for n, w in self.groups["weights"].items() if n.startswith(part)}
        network.load_state_dict(named, strict=True)


def method_of(fixture: Fixture) -> EverybodyDance:
    given, weights = fixture.constructor, fixture.groups["weights"]
    faces = [int(name.split(".")[1]) for name in weights if name.startswith("faceGen/") and "conv_block" in name]
    halvings = [
        name for name, w in weights.items() if name.startswith("faceGen/") and w.ndim == 4 and len(w) == 2 * w.shape[1]
    ]
    face = given["face_generator"]
    top, bottom, left, right = given["face"]
    assert not face or bottom - top == right - left
    method = EverybodyDance(
        size=tuple(fixture.input["image"].shape[2:]),  # type: ignore[arg-type]
        pose_range="signed",  # what is stored is what the networks were given
        n_local_enhancers=0,
        ngf=given["ngf"],
        n_downsample_global=given["n_down"],
        n_blocks_global=given["n_blocks"],
        ndf=given["ndf"],
        n_layers_D=given["n_layers_D"],
        num_D=given["num_D"],
        face=face,
        face_size=bottom - top,
        face_ngf=given["face_gf"],
        face_n_downsample=len(halvings) // 2,
        face_n_blocks=len(set(faces)),
        face_ndf=given["face_df"],
        lambda_feat=given["lambda_feat"],
        lambda_vgg=0,
        local_steps=FACE,
    )
    fixture.load(method.generator.body.net, "netG/")
    fixture.load(method.discriminator, "netD/")
    if face:
        assert method.generator.face is not None and method.face_discriminator is not None
        fixture.load(method.generator.face, "faceGen/")
        fixture.load(method.face_discriminator, "netDface/")
        method.generator.face_trained.fill_(True)
    return method


def check(fixture: Fixture) -> None:
    method, given = method_of(fixture), fixture.input
    poses, real = [given["label"], given["next_label"]], [given["image"], given["next_image"]]
    boxes = [given["face_coords"]] * 2
    roll = method.make(poses, real, boxes, FACE)
    frames = [frame.whole for frame in roll.made]
    on = pairs(poses, real), pairs(poses, frames)
    on_real, on_fake = judge_both(method.discriminator, on[0], on[1].detach(), "instance")
    of_generator = method.generator_losses(roll, on[1], on_real, FACE)
    of_discriminator = method.discriminator_losses(on_real, on_fake)
    computed = {
        "G_GAN": of_generator["generator"],
        "G_GAN_Feat": of_generator["feature_matching"],
        # The official training script halves the sums of what is stored here.
        "D_real": 2 * of_discriminator["discriminator_real"],
        "D_fake": 2 * of_discriminator["discriminator_fake"],
        "I0_I1": torch.cat(frames, 3),
        "initial_I0": roll.made[0].body,
    }
    if fixture.constructor["face_generator"]:
        of_faces = method.face_discriminator_losses(roll)
        computed |= {
            "G_GANface": of_generator["face"],
            "D_realface": 2 * of_faces["face_real"],
            "D_fakeface": 2 * of_faces["face_fake"],
            "fake_face": torch.cat([frame.face for frame in roll.made if frame.face is not None], 3),
            "face_residual": torch.cat([frame.residual for frame in roll.made if frame.residual is not None], 3),
        }
    # Sampling, the frame made before given back.
    box = boxes[0] if fixture.constructor["face_generator"] else None
    computed["inference_frame0"] = method.generator(poses[0], given["zeroshere"], box)
    computed["inference_frame1"] = method.generator(poses[1], computed["inference_frame0"], box)
    fixture.check({name: value for name, value in computed.items() if name in fixture.groups["output"]})


@pytest.mark.parametrize("path", PARAMETERS, ids=[f"parity-{path.stem}" for path in PARAMETERS])
def test_official_numbers(path: Path) -> None:
    if not PARITY:
        pytest.skip("REELBENCH_PARITY is not set: the official Everybody Dance Now's numbers are not compared")
    assert FILES, f"no edn_*_forward.safetensors in REELBENCH_PARITY ({PARITY})"
    check(Fixture(path))
