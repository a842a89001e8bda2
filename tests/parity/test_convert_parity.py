"""`reelbench convert` on files in the official formats: one test for each folder of REELBENCH_PARITY/checkpoints."""

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from datamodules.errors import BenchError
from experiments.convert import convert, methods
from experiments.export import load_export
from lightning_modules.deformable_gan import convert as of_deformable_gan
from lightning_modules.deformable_gan.module import DeformableGAN
from lightning_modules.deformable_gan.regions import Regions, regions
from lightning_modules.everybody_dance import convert as of_dance
from lightning_modules.everybody_dance.module import EverybodyDance
from lightning_modules.formats.conversion import Conversion
from lightning_modules.formats.reading import read
from lightning_modules.mocogan.networks import VideoGenerator
from lightning_modules.pg2 import convert as of_pg2
from lightning_modules.pg2.module import PG2
from lightning_modules.pix2pixhd import convert as of_pix2pixhd
from lightning_modules.pix2pixhd.module import Pix2PixHD
from lightning_modules.svg.blocks import batch_statistics
from lightning_modules.tgan import convert as of_tgan
from lightning_modules.tgan.module import TGAN
from lightning_modules.vgan import convert as of_vgan
from lightning_modules.vgan.module import VGAN
from lightning_modules.vid2vid import convert as of_vid2vid
from lightning_modules.vid2vid.module import Vid2Vid

PARITY = os.environ.get("REELBENCH_PARITY")
FOLDERS = sorted(path for path in (Path(PARITY) / "checkpoints").glob("*") if path.is_dir()) if PARITY else []
# One parameter even without a folder, so that what is missing is said and not just collected as nothing.
PARAMETERS = FOLDERS or [Path("no_folders")]
# The live ones among the hostile files: an unsafe loader runs them.
LIVE = {"reduce_os_system.pth", "object_array.npz"}

pytestmark = pytest.mark.skipif(not PARITY, reason="REELBENCH_PARITY is not set: no official checkpoints")


class Expected:
    """The sidecars of one checkpoint."""

    def __init__(self, file: Path) -> None:
        self.about: dict[str, Any] = json.loads(file.with_name(f"{file.name}.json").read_text())
        self.groups: dict[str, dict[str, Tensor]] = {"input": {}, "output": {}}
        for key, tensor in load_file(file.with_name(f"{file.name}.expected.safetensors")).items():
            group, name = key.split("/", 1)
            self.groups[group][name] = tensor
        self.input = self.groups["input"]

    def clips(self) -> Tensor:
        return self.input["x_uint8"].float() / 127.5 - 1

    def check(self, computed: Mapping[str, Tensor]) -> None:
        """Every expected output, and no other, within the sidecar's tolerance."""
        tolerances = {key.removeprefix("output/"): value for key, value in self.about["tolerance_abs"].items()}
        assert set(computed) == set(self.groups["output"]) == set(tolerances)
        for name, tensor in self.groups["output"].items():
            torch.testing.assert_close(computed[name].detach(), tensor, rtol=0, atol=tolerances[name], msg=name)


def check_mocogan(folder: Path, out: Path) -> None:
    (file,) = folder.glob("generator_*.pytorch")
    expected = Expected(file)
    metadata = convert("mocogan", [file], out)
    constructor, said = expected.about["constructor"], metadata["init_args"]
    names = {"n_channels": "channels", "dim_z_content": "dim_content", "dim_z_category": "dim_category"}
    names |= {"dim_z_motion": "dim_motion", "video_length": "frames", "ngf": "ngf"}
    assert {k: said[v] for k, v in names.items()} == {k: constructor[k] for k in names}
    network: Any = load_export(out)[0].generator
    assert isinstance(network, VideoGenerator)
    given = expected.input
    category = given.get("one_hot", given["h0"].new_empty(len(given["h0"]), 0))
    codes = given["h0"], given["e"].transpose(0, 1), given["z_content"], category
    every = max(constructor["video_length"] // 4, 1)
    expected.check({"z": network.latents(*codes).flatten(0, 1), "video": network(*codes)[:, :, ::every]})


def check_vgan(folder: Path, out: Path) -> None:
    ((of_generator,), (of_discriminator,)) = (list(folder.glob(f"*{end}.t7")) for end in ("_net", "_netD"))
    expected = Expected(of_generator)
    metadata = convert("vgan", [of_generator, of_discriminator], out)
    factor = fraction(expected.about["constructor"]["width_factor"])
    assert metadata["init_args"]["ngf"] == metadata["init_args"]["ndf"] == round(64 * factor)
    assert metadata["init_args"]["dim_z"] == expected.about["constructor"]["noise"]
    network: Any = load_export(out)[0].generator
    z = expected.input["noise"]
    layers = network(z)
    moving, _ = network.video(z[..., None, None, None])
    every = {"gen": layers.video, "video": moving, "mask": layers.mask, "static": layers.background}
    computed = {}
    for name, tensor in expected.groups["output"].items():  # mask_frames_0_10_21_31; some of the first clip alone
        stream, _, frames = name.partition("_frames_")
        found = every[stream][: len(tensor)]
        computed[name] = found[:, :, [int(i) for i in frames.split("_")]] if frames else found
    expected.check(computed)

    expected = Expected(of_discriminator)
    conversion: Conversion = of_vgan.convert([read(of_discriminator, of_vgan.CLASSES)])
    method = VGAN(**conversion.init_args).eval()
    conversion.fit(method)
    method.discriminator.load_state_dict(conversion.states["discriminator"])
    expected.check({"logits": method.discriminator(expected.clips())})


def check_tgan(folder: Path, out: Path) -> None:
    seeds, images, critics = ([*folder.glob(f"{name}_iter_*.npz")] for name in ("gen", "vgen", "vdis"))
    expected = {file[0].name.split("_")[0]: Expected(file[0]) for file in (seeds, images, critics)}
    metadata = convert("tgan", [*seeds, *images, *critics], out)
    constructor, said = expected["vgen"].about["constructor"], metadata["init_args"]
    assert (said["dim_slow"], said["dim_fast"]) == (constructor["fs"]["z_slow_dim"], constructor["fs"]["z_fast_dim"])
    assert (said["ngf"] * 16, said["ndf"]) == (constructor["vg"]["conv_ch"], constructor["vd"]["mid_ch"])
    assert (said["size"], said["channels"]) == (
        16 * constructor["vg"]["bottom_width"],
        constructor["vg"]["out_channels"],
    )
    network: Any = load_export(out)[0].generator
    z_slow = expected["gen"].input["z_slow"]
    expected["gen"].check({"z_fast": network.temporal(z_slow)})
    given = expected["vgen"].input
    video = network.render(given["z_slow"], given["z_fast"], z_slow[:, :0])
    expected["vgen"].check({"video_frames_0_5_10_15": video[:, :, [0, 5, 10, 15]]})

    conversion: Conversion = of_tgan.convert([read(file, of_tgan.CLASSES) for file in (*seeds, *images, *critics)])
    method = TGAN(**conversion.init_args).eval()
    conversion.fit(method)
    method.critic.load_state_dict(conversion.states["critic"])
    expected["vdis"].check({"p": method.critic(expected["vdis"].clips())})


def check_svg(folder: Path, out: Path) -> None:
    (file,) = folder.glob("*.pth")
    expected = Expected(file)
    said = convert("svg", [file], out)["init_args"]
    words = expected.about["constructor"]["command_line"].split()
    given = {name.removeprefix("--"): value for name, value in pairwise([*words, ""]) if name.startswith("--")}
    names = {"g_dim": "g_dim", "z_dim": "z_dim", "rnn_size": "rnn_size", "channels": "channels", "n_past": "context"}
    for option, ours in {**names, "image_width": "size"}.items():
        assert option not in given or said[ours] == int(given[option]), option
    learned = words[0] == "train_svg_lp.py"
    assert said["prior"] == ("learned" if learned else "fixed")
    assert said["skip_source"] == ("every_frame" if "last_frame_skip" in given else "svg_code")
    narrowed = re.match(r"64 -> (\d+) ", expected.about["constructor"]["network_width_constant"])
    assert narrowed and said["nf"] == int(narrowed[1])

    network: Any = load_export(out)[0].generator
    codes, z = expected.input["h_seq"].transpose(0, 1), expected.input["z_seq"].transpose(0, 1)
    computed = {"frame_predictor_seq": network.frame_predictor(torch.cat([codes, z], -1))[0].transpose(0, 1)}
    for name in ("posterior", "prior") if learned else ("posterior",):
        believed, _ = getattr(network, name)(codes)
        computed |= {f"{name}_mu_seq": believed.mean.transpose(0, 1)}
        computed |= {f"{name}_logvar_seq": believed.logvar.transpose(0, 1)}
    for mode in ("bneval", "bntrain"):
        with batch_statistics(network) if mode == "bntrain" else nullcontext():
            code, maps = network.encoder(expected.input["x"])
            frames = network.decoder(expected.input["vec"], network.decoder.seen(maps))
        every = {"encoder_h": code, "encoder_deepest_skip": maps[-1], "decoder_y": frames}
        computed |= {f"{name}_{mode}": value for name, value in every.items()}
    expected.check({name: computed[name] for name in expected.groups["output"]})


def check_pix2pixhd(folder: Path, out: Path) -> None:
    files = {name: folder / f"latest_net_{name}.pth" for name in "GED"}
    expected = {name: Expected(path) for name, path in files.items()}
    metadata = convert("pix2pixhd", list(files.values()), out)
    said = metadata["init_args"]
    told = command_line(expected["G"].about["constructor"]["command_line"])
    for name in ("label_nc", "ngf", "ndf", "n_downsample_global", "n_blocks_global", "nef", "n_downsample_E"):
        assert said[name] == int(told[name]), name
    assert said["feat_num"] == int(told["feat_num"]) and said["instances"]
    generator: Any = load_export(out)[0].generator
    expected["G"].check({"y": generator(expected["G"].input["G_x"])})
    pictures, instances = expected["E"].input["E_x"], expected["E"].input["E_inst"][:, 0].long()
    expected["E"].check({"feat": generator.features(pictures, instances), "unpooled": generator.encoder(pictures)})

    conversion: Conversion = of_pix2pixhd.convert([read(file, of_pix2pixhd.CLASSES) for file in files.values()])
    assert any("running_mean" in name for name in conversion.left_out) == (folder.name == "p2phd-torch03")
    method = Pix2PixHD(**conversion.init_args).eval()
    conversion.fit(method)
    method.discriminator.load_state_dict(conversion.states["discriminator"])
    expected["D"].check(judged(method.discriminator(expected["D"].input["D_x"])))


def check_everybody_dance(folder: Path, out: Path) -> None:
    files = {name: folder / f"latest_net_{name}.pth" for name in ("G", "Gface", "D", "Dface")}
    expected = {name: Expected(path) for name, path in files.items()}
    metadata = convert("everybody_dance", list(files.values()), out)
    said, constructor = metadata["init_args"], expected["G"].about["constructor"]
    told = command_line(constructor["command_line"])
    for name in ("ngf", "ndf", "n_downsample_global", "n_blocks_global"):
        assert said[name] == int(told[name]), name
    assert said["face_ngf"] == constructor["face_generator_ngf"]
    assert said["face_ndf"] == constructor["face_discriminator_ndf"]
    generator: Any = load_export(out)[0].generator
    assert generator.face_trained
    expected["G"].check({"y": generator.body(expected["G"].input["G_x"])})
    expected["Gface"].check({"y": generator.face(expected["Gface"].input["Gface_x"])})

    conversion: Conversion = of_dance.convert([read(file, of_dance.CLASSES) for file in files.values()])
    method = EverybodyDance(**conversion.init_args)
    conversion.fit(method)
    method.discriminator.load_state_dict(conversion.states["discriminator"])
    expected["D"].check(judged(method.discriminator(expected["D"].input["D_x"])))
    face, squares = method.face_discriminator, expected["Dface"].input["Dface_x"]
    assert face is not None
    computed = {}
    for mode in ("eval", "train"):
        face.load_state_dict(conversion.states["face_discriminator"])
        computed[f"pred_{mode}"] = face.train(mode == "train")(squares)
    expected["Dface"].check(computed)


def check_vid2vid(folder: Path, out: Path) -> None:
    files = {name: folder / f"latest_net_{name}.pth" for name in ("G0", "D", "D_T0", "D_T1")}
    expected = {name: Expected(path) for name, path in files.items()}
    metadata = convert("vid2vid", list(files.values()), out)
    said = metadata["init_args"]
    told = command_line(expected["G0"].about["constructor"]["command_line"])
    for name in (
        "label_nc",
        "ngf",
        "ndf",
        "n_downsample_G",
        "n_blocks",
        "n_scales_spatial",
        "n_scales_temporal",
        "num_D",
    ):
        assert said[name] == int(told[name]), name
    assert said["instances"] and said["n_frames_G"] == said["n_frames_D"] == 3
    conversion: Conversion = of_vid2vid.convert([read(file, of_vid2vid.CLASSES) for file in files.values()])
    method = Vid2Vid(**conversion.init_args, statistics="running")
    conversion.fit(method)
    networks: dict[str, Any] = {"G0": method.generator, "D": method.discriminator}
    networks |= {f"D_T{s}": network for s, network in enumerate(method.time)}
    attributes = {"G0": "generator", "D": "discriminator", "D_T0": "time.0", "D_T1": "time.1"}
    exported: Any = load_export(out)[0].generator
    for name, network in networks.items():
        computed: dict[str, Tensor] = {}
        for mode in ("eval", "train"):
            network.load_state_dict(conversion.states[attributes[name]])
            network.train(mode == "train")
            if name == "G0":
                given = expected[name].input
                (made,) = network(given["label"], [given["img_prev"]])
                found = {"img_final": made.frame, "flow": made.flow, "weight": made.weight, "img_raw": made.raw}
                if mode == "train":  # what an export samples with: each frame's own statistics
                    (sampled,) = exported(given["label"], [given["img_prev"]])
                    torch.testing.assert_close(sampled.frame, made.frame, atol=1e-4, rtol=0)
            else:
                (x,) = expected[name].input.values()
                found = judged(network(x))
            computed |= {f"{part}_bn{mode}": value for part, value in found.items()}
        expected[name].check({part: computed[part] for part in expected[name].groups["output"]})


def judged(scales: list[list[Tensor]]) -> dict[str, Tensor]:
    """`pred_<scale>_<layer>`, the full size first."""
    return {f"pred_{i}_{j}": maps for i, layers in enumerate(scales) for j, maps in enumerate(layers)}


def command_line(text: str) -> dict[str, str]:
    """`train.py --ngf 4 --no_vgg_loss` -> {"ngf": "4", "no_vgg_loss": ""}."""
    words = re.findall(r"--(\S+)(?: (?!--)(\S+))?", text)
    return dict(words)


def check_deformable_gan(folder: Path, out: Path) -> None:
    (file,) = folder.glob("*_generator.h5")
    beside = folder.with_name(folder.name.removesuffix("-fullsave")) / file.name  # made of the same weights
    expected = Expected(beside)
    given = expected.input
    constructor = json.loads(file.with_name(f"{file.name}.json").read_text())["constructor"]
    metadata = convert("deformable_gan", [file], out)
    said = metadata["init_args"]
    assert [list(said["size"]), said["encoder"], said["decoder"]] == [
        constructor["size"],
        constructor["enc"],
        constructor["dec"][:-1],
    ]
    assert (said["warp_skip"], metadata["step"]) == ("mask", constructor["ep"])
    method: Any = load_export(out)[0]
    image, own, wanted = (given[k].movedim(-1, 1) for k in ("input_img", "input_pose", "output_pose"))
    drawn = method.generator(image, own, wanted, Regions(given["warps"][..., :6], given["masks"] > 0))
    expected.check({"y": drawn.movedim(1, -1)})
    # The same from the joints: the file's heat maps are of other ones.
    places = [given[f"keypoints_{which}_yx"] for which in ("input", "target")]
    poses = [torch.cat([yx.flip(-1), (yx >= 0).all(-1, keepdim=True)], -1).float()[None] for yx in places]
    found = regions(poses[0], poses[1], *constructor["size"])
    # A pixel whose centre lies exactly on an edge is in or out by the rounding of the scikit-image of the time.
    assert (found.masks != (given["masks"] > 0)).sum() <= 2
    drawn = method.generator(image, own, wanted, found._replace(masks=given["masks"] > 0))
    expected.check({"y": drawn.movedim(1, -1)})

    for critic in folder.glob("*_discriminator.h5"):
        conversion: Conversion = of_deformable_gan.convert([read(critic, of_deformable_gan.CLASSES)])
        trained = DeformableGAN(**conversion.init_args).eval()
        assert trained.discriminator.first.out_channels == constructor["w"]
        conversion.fit(trained)
        trained.discriminator.load_state_dict(conversion.states["discriminator"])
        of_critic = Expected(critic)
        seen, shown = (of_critic.input[k].movedim(-1, 1) for k in ("input_img", "output_img"))
        of_critic.check({"p": trained.discriminator(seen, own, shown, wanted).sigmoid().flatten(1)})


def check_pg2(folder: Path, out: Path) -> None:
    (index,) = folder.glob("model.ckpt-*.index")
    expected = Expected(index.with_suffix(""))
    metadata = convert("pg2", [index], out)
    constructor, said = expected.about["constructor"], metadata["init_args"]
    names = {"hidden": "conv_hidden_num", "dim_z": "z_num", "ndf": "ddim"}
    assert {k: said[k] for k in names} == {k: constructor[v] for k, v in names.items()}
    assert (*said["size"], metadata["step"]) == tuple(constructor[k] for k in ("img_H", "img_W", "step"))
    method: Any = load_export(out)[0]
    x, pose, target = (expected.input[k].float().permute(0, 3, 1, 2) for k in ("x", "pose_target", "x_target"))
    coarse, fake = method.generator(x, pose, refine=bool(method.generator.refines))
    conversion: Conversion = of_pg2.convert([read(index, of_pg2.CLASSES)])
    trained = PG2(**conversion.init_args)
    conversion.fit(trained)
    assert trained.discriminator is not None
    trained.discriminator.load_state_dict(conversion.states["discriminator"])
    computed = {"G1": coarse, "DiffMap": fake - coarse}
    computed |= {f"{name}_0_255": (v.clamp(-1, 1) + 1) * 127.5 for name, v in (("G1", coarse), ("G2", fake))}
    computed = {name: image.permute(0, 2, 3, 1) for name, image in computed.items()}  # N H W C, as TensorFlow's
    logits = trained.discriminator(torch.cat([target, x, coarse, fake]))
    expected.check(computed | {"D_logits_xtarget_x_g1_g2": logits})


def fraction(text: str) -> float:
    """`3/64 of 64..512` -> 3/64."""
    match = re.match(r"(\d+)/(\d+) ", text)
    assert match, text
    return int(match[1]) / int(match[2])


def check_hostile(folder: Path, out: Path) -> None:
    about: dict[str, str] = json.loads((folder / "hostile.json").read_text())
    assert LIVE <= set(about) == {path.name for path in folder.iterdir()} - {"hostile.json"}
    for name in about:
        for method in methods():
            with pytest.raises(BenchError, match=re.escape(name)):
                convert(method, [folder / name], out)
    assert not out.exists()


CHECKS: dict[str, Callable[[Path, Path], None]] = {
    "edn-zip": check_everybody_dance,
    "hostile": check_hostile,
    "mocogan-legacy": check_mocogan,
    "mocogan-zip": check_mocogan,
    "svg-legacy": check_svg,
    "svg-zip": check_svg,
    "svgfp-legacy": check_svg,
    "p2phd-legacy": check_pix2pixhd,
    "p2phd-torch03": check_pix2pixhd,
    "posegan": check_deformable_gan,
    "posegan-fullsave": check_deformable_gan,
    "pg2": check_pg2,
    "tgan": check_tgan,
    "vgan": check_vgan,
    "vid2vid-legacy": check_vid2vid,
}


def test_every_folder_is_tested() -> None:
    assert FOLDERS, f"no folders in REELBENCH_PARITY/checkpoints ({PARITY})"
    assert {path.name for path in FOLDERS} == set(CHECKS)


@pytest.mark.parametrize("folder", PARAMETERS, ids=[f"convert-{path.name}" for path in PARAMETERS])
def test_official_outputs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where a hostile file leaves its mark
    CHECKS[folder.name](folder, tmp_path / "out.safetensors")
    assert not (tmp_path / "pwned").exists()


def test_the_hostile_files_are_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(str(PARITY)) / "checkpoints" / "hostile"
    torch.load(folder / "reduce_os_system.pth", map_location="cpu", weights_only=False)
    assert (tmp_path / "pwned").exists()
    (tmp_path / "pwned").unlink()
    with np.load(folder / "object_array.npz", allow_pickle=True) as arrays:
        for name in arrays.files:
            assert arrays[name] is not None
    assert (tmp_path / "pwned").exists()
