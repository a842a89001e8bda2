"""latest_net_G0.pth, also G1, G2 (finer sizes), D and D_T<s>; opt.txt beside them is read where it is."""

import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lightning_modules.formats.content import WeightFile
from lightning_modules.formats.conversion import Conversion, one_of
from lightning_modules.pix2pixhd.official import discriminator_arguments, options, state_of

CLASSES: frozenset[str] = frozenset()  # tensors alone
PICTURE = 3  # channels of a frame
NAME = re.compile(r"net_(G\d|D_T\d|D)\.")  # where the official code says which network a file holds
State = dict[str, Tensor]


def convert(files: Sequence[WeightFile]) -> Conversion:
    """All generators, the discriminator of frames and those of time as far as they are named.

    Raises:
        BenchError: a file of something else, two of one network, a generator of a finer size without those below it,
            or channels that do not add up.
    """
    conversion = Conversion("lightning_modules.vid2vid.module.Vid2Vid", {"lambda_vgg": 0})
    found: dict[str, WeightFile] = {}
    states: dict[str, State] = {}
    for file in files:
        match = NAME.search(file.path.name)
        if not match:
            raise file.error("has a name without net_G<s>, net_D or net_D_T<s>, by which the networks are told apart")
        one_of(found, match[1], file)
        found[match[1]], states[match[1]] = file, state_of(file, conversion)
    generators = _counted("G", found)
    of_time = _counted("D_T", found)
    if generators:
        conversion.init_args |= _of_generators([states[name] for name in generators], found["G0"])
        conversion.data = "data/vid2vid_street_flow" if conversion.init_args["label_nc"] else "data/vid2vid_pose_flow"
        whole = {f"{name}.{key}": value for name in generators for key, value in states[name].items()}
        conversion.states["generator"], conversion.files["generator"] = whole, found["G0"]
    for name in (["D"] if "D" in found else []) + of_time:
        arguments = discriminator_arguments(states[name], found[name])
        inputs, scales = arguments.pop("input_nc"), arguments["num_D"]
        arguments["ndf"] = len(states[name][f"scale{scales - 1}_layer0.0.weight"])  # the finest scale is the narrowest
        arguments["norm"] = _norm(states[name])
        if name != "D":
            if (inputs + 2) % (PICTURE + 2):
                raise found[name].error(f"takes {inputs} channels; expected {PICTURE} a frame and 2 a flow")
            arguments |= {"n_frames_D": (inputs + 2) // (PICTURE + 2), "n_scales_temporal": len(of_time)}
        for key, value in arguments.items():
            if conversion.init_args.setdefault(key, value) != value:
                raise found[name].error(f"has {key} {value}, the other files {conversion.init_args[key]}")
        attribute = "discriminator" if name == "D" else f"time.{name.removeprefix('D_T')}"
        conversion.states[attribute], conversion.files[attribute] = states[name], found[name]
    return conversion


def _counted(kind: str, found: dict[str, WeightFile]) -> list[str]:
    """Names of a kind of network, which must be numbered from 0 on without a gap."""
    names = sorted(name for name in found if re.fullmatch(rf"{kind}\d", name))
    for number, name in enumerate(names):
        if name != f"{kind}{number}":
            raise found[name].error(f"needs latest_net_{kind}{number}.pth beside it: name that file too")
    return names


def _norm(state: State) -> str:
    # BatchNorm alone has weights of one axis
    return "batch" if any(value.ndim == 1 and key.endswith(".weight") for key, value in state.items()) else "instance"


def _of_generators(states: list[State], file: WeightFile) -> dict[str, Any]:
    """Arguments that the generators tell, and what their inputs are."""
    coarse = states[0]
    try:
        ngf, inputs = coarse["model_down_seg.1.weight"].shape[:2]
        before = coarse["model_down_img.1.weight"].shape[1]
    except (KeyError, ValueError):
        held = ", ".join(list(coarse)[:4])
        raise file.error(f"holds {held}; expected model_down_seg.1.weight and model_down_img.1.weight") from None
    if not all(key.startswith("model_") for key in coarse):
        raise file.error("has layers beside model_*, such as those of a foreground: their names are not known")
    window = before // PICTURE + 1
    if before % PICTURE or inputs % window:
        raise file.error(f"takes {inputs} channels of conditions and {before} of frames: these do not belong together")

    def count(pattern: str, state: State) -> int:
        return len({m[1] for key in state if (m := re.match(pattern, key))})

    blocks = count(r"model_down_seg\.(\d+)\.conv_block", coarse) + count(r"model_res_img\.(\d+)\.", coarse)
    found: dict[str, Any] = {"ngf": ngf, "n_blocks": blocks, "n_frames_G": window, "n_scales_spatial": len(states)}
    found["n_downsample_G"] = sum(bool(re.fullmatch(r"model_up_img\.\d+\.weight", k)) for k in coarse) // (
        2 if _norm(coarse) == "batch" else 1
    )
    found |= {"norm": _norm(coarse), "no_flow": not any("flow" in key for key in coarse)}
    if len(states) > 1:
        found["n_blocks_local"] = count(r"model_up_img\.(\d+)\.conv_block", states[1])
    return found | _conditions(file, inputs // window)


def _conditions(file: WeightFile, channels: int) -> dict[str, Any]:
    """What a condition's channels are, by the options beside the file, else by the official data sets."""
    told = options(file)
    if "label_nc" not in told:  # six are DensePose and stick figures, three a picture; label maps have outlines
        if channels in (PICTURE, 2 * PICTURE):
            return {"label_nc": 0, "condition_nc": channels, "instances": False}
        return {"label_nc": channels - 1, "instances": True}
    label_nc, instances = int(told["label_nc"]), told.get("use_instance") == "True"
    if label_nc + instances != channels and label_nc:
        raise file.error(
            f"takes {channels} channels a condition, but opt.txt beside it says label_nc {label_nc} and use_instance "
            f"{instances}: it belongs to another run; move it away"
        )
    return {"label_nc": label_nc, "instances": instances} | ({} if label_nc else {"condition_nc": channels - instances})
