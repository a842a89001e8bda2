"""latest_net_G.pth, also latest_net_E.pth (features) and latest_net_D.pth; opt.txt beside them is read where it is."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from datamodules.errors import BenchError
from lightning_modules.formats.content import WeightFile
from lightning_modules.formats.conversion import Conversion, one_of
from lightning_modules.pix2pixhd.official import discriminator_arguments, generator_arguments, options, state_of

CLASSES: frozenset[str] = frozenset()  # tensors alone
PICTURE = 3  # channels of a condition or picture in colours


def convert(files: Sequence[WeightFile]) -> Conversion:
    """The generator, the encoder where features are its input, and the discriminators where their file is named.

    Raises:
        BenchError: a file of something else, two of one network, or channels that do not add up.
    """
    conversion = Conversion("lightning_modules.pix2pixhd.module.Pix2PixHD", {"lambda_vgg": 0})
    states: dict[str, dict[str, Tensor]] = {}
    found: dict[str, WeightFile] = {}
    for file in files:
        state = state_of(file, conversion)
        network = _which(state, file)
        one_of(found, network, file)
        found[network], states[network] = file, state
    if "discriminator" in found:
        arguments = discriminator_arguments(states["discriminator"], found["discriminator"])
        del arguments["input_nc"]
        conversion.init_args |= arguments
        conversion.states["discriminator"] = states["discriminator"]
        conversion.files["discriminator"] = found["discriminator"]
    if "encoder" in found and "generator" not in found:
        raise BenchError(f"{found['encoder'].path}: an encoder goes with its generator; name latest_net_G.pth too")
    if "generator" in found:
        file = found["generator"]
        arguments = generator_arguments(states["generator"], file)
        inputs = arguments.pop("input_nc")
        features = 0
        parts = {"net": states["generator"]}
        if "encoder" in found:
            of_encoder = generator_arguments(states["encoder"], found["encoder"])
            features = _outputs(states["encoder"])
            arguments |= {"feat_num": features, "nef": of_encoder["ngf"]}
            arguments["n_downsample_E"] = of_encoder["n_downsample_global"]
            parts["encoder"] = states["encoder"]
        conversion.init_args |= arguments | _inputs(file, inputs, features)
        conversion.data = "data/pix2pixhd" if conversion.init_args["label_nc"] else "data/puppet_poses"
        whole = {f"{part}.{key}": value for part, state in parts.items() for key, value in state.items()}
        conversion.states["generator"], conversion.files["generator"] = whole, file
    return conversion


def _which(state: dict[str, Tensor], file: WeightFile) -> str:
    if "scale0_layer0.0.weight" in state:
        return "discriminator"
    if "model.1.weight" not in state:
        raise file.error(
            f"holds {', '.join(list(state)[:4])}; expected layers model.* (generator, encoder) or scale<i>_layer<j>.* "
            "(discriminators with feature matching)"
        )
    return "generator" if any("conv_block" in key for key in state) else "encoder"


def _outputs(state: dict[str, Tensor]) -> int:
    """Channels that the last convolution gives."""
    biases = [key for key in state if key.startswith("model.") and key.endswith(".bias")]
    return len(state[max(biases, key=lambda key: int(key.split(".")[1]))])


def _inputs(file: WeightFile, inputs: int, features: int) -> dict[str, Any]:
    """What the generator's input channels are, by the options beside the file, else by the official defaults."""
    told = options(file)
    if "True" in (told.get("instance_feat"), told.get("label_feat")) and not features:
        raise file.error("was trained with features, says opt.txt beside it; name latest_net_E.pth too")
    rest = inputs - features
    if "label_nc" in told:
        label_nc, instances = int(told["label_nc"]), told.get("no_instance") != "True"
        condition_nc = PICTURE if not label_nc else 0
        if (label_nc or condition_nc) + instances != rest:
            raise file.error(
                f"takes {inputs} channels, {features} of them features, but opt.txt beside it says label_nc "
                f"{label_nc} and no_instance {not instances}: it belongs to another run; move it away"
            )
    else:  # coloured conditions have three channels and no instances, label maps have outlines beside them
        label_nc, instances = (0, False) if rest == PICTURE else (rest - 1, True)
    return {"label_nc": label_nc, "instances": instances}
