"""model.pth of SVG-LP or SVG-FP, a dict of whole pickled modules and options, of old or new PyTorch."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from datamodules.errors import BenchError
from lightning_modules.formats.content import Instance, WeightFile, module_state
from lightning_modules.formats.conversion import Conversion, check_layers, field_of
from lightning_modules.svg.module import SVG

DATA = "data/moving_digits"  # in grey or in colour, with given frames
CLASS_PATH = "lightning_modules.svg.module.SVG"
BACKBONES = {"dcgan_64": ("dcgan", 64), "dcgan_128": ("dcgan", 128), "vgg_64": ("vgg", 64), "vgg_128": ("vgg", 128)}
LSTM, GAUSSIAN = "models.lstm.lstm", "models.lstm.gaussian_lstm"
OPTIMIZERS = ("adam.Adam", "rmsprop.RMSprop", "sgd.SGD")  # the classes that --optimizer chooses, in the options
OURS = {"dcgan_conv": "DownBlock", "dcgan_upconv": "UpBlock", "vgg_layer": "VggLayer"}
CLASSES = frozenset(
    {f"models.{file}.{name}" for file in BACKBONES for name in ("encoder", "decoder", *OURS)}
    | {f"torch.optim.{name}" for name in OPTIMIZERS}
    | {LSTM, GAUSSIAN, "argparse.Namespace"}
)
PARTS = ("encoder", "decoder", "frame_predictor", "posterior", "prior")  # SVG-FP has no prior


def convert(files: Sequence[WeightFile]) -> Conversion:
    """All networks under our names, which are the official ones; without a prior it is SVG-FP.

    Raises:
        BenchError: not one file, no official networks, sizes that contradict each other, or other layers.
    """
    if len(files) != 1:
        raise BenchError(f"svg takes one file, model.pth; found {len(files)}")
    (file,) = files
    content = file.content if isinstance(file.content, dict) else {}
    parts = {name: content[name] for name in PARTS if isinstance(content.get(name), Instance)}
    options = content.get("opt")
    missing = [name for name in PARTS[:-1] if name not in parts]
    if missing or not isinstance(options, Instance):
        held = ", ".join(map(str, content)) or type(file.content).__name__
        lacking = ", ".join(missing or ["opt"])
        raise file.error(f"holds {held}, expected a dict of {', '.join(PARTS)} and opt; it lacks {lacking}")
    init_args = {**_networks(parts, file), **_training(options, "prior" in parts, file)}
    _agree(init_args, options, file)
    try:
        with torch.device("meta"):
            wanted = SVG(**init_args).generator
    except BenchError as error:
        raise file.error(str(error)) from None
    for name, part in parts.items():
        _check(part, wanted.get_submodule(name), name, file)
    conversion = Conversion(CLASS_PATH, init_args, data=DATA)
    conversion.states["generator"] = {
        f"{name}.{key}": tensor for name, part in parts.items() for key, tensor in module_state(part).items()
    }
    conversion.files["generator"] = file
    if any("hidden" in part.fields for part in parts.values()):
        conversion.left_out["hidden"] = "states that the LSTMs carried over from the last batch"
    for name in sorted(set(content) - set(PARTS) - {"opt"}):
        conversion.left_out[str(name)] = "no part of SVG"
    return conversion


def _networks(parts: Mapping[str, Instance], file: WeightFile) -> dict[str, Any]:
    """Arguments that the modules tell."""
    for name in parts:
        classes = {"frame_predictor": {LSTM}, "posterior": {GAUSSIAN}, "prior": {GAUSSIAN}}
        known = classes.get(name, {f"models.{source}.{name}" for source in BACKBONES})
        if parts[name].class_name not in known:
            raise file.error(f"{name} is {parts[name].class_name}, expected {' or '.join(sorted(known))}")
    source = parts["encoder"].class_name.split(".")[1]
    if parts["decoder"].class_name.split(".")[1] != source:
        raise file.error(f"encoder is {parts['encoder'].class_name}, but decoder {parts['decoder'].class_name}")
    first = module_state(parts["encoder"]).get(
        "c1.main.0.weight" if source.startswith("dcgan") else "c1.0.main.0.weight"
    )
    if first is None or first.ndim != 4:
        raise file.error("encoder.c1 has no kernel of 4 axes")
    predictor, posterior = parts["frame_predictor"], parts["posterior"]
    g_dim, z_dim = field_of(parts["encoder"], "dim", file), field_of(posterior, "output_size", file)
    taken = field_of(predictor, "input_size", file)
    if taken != g_dim + z_dim:
        raise file.error(
            f"frame_predictor takes {taken} numbers, expected {g_dim + z_dim}: a code of {g_dim} (encoder) and a "
            f"latent of {z_dim} (posterior)"
        )
    backbone, size = BACKBONES[source]
    found = {
        "size": size,
        "channels": int(first.shape[1]),
        "prior": "learned" if "prior" in parts else "fixed",
        "backbone": backbone,
        "nf": int(first.shape[0]),
        "g_dim": g_dim,
        "z_dim": z_dim,
        "rnn_size": field_of(predictor, "hidden_size", file),
        "predictor_layers": field_of(predictor, "n_layers", file),
        "posterior_layers": field_of(posterior, "n_layers", file),
    }
    if "prior" in parts:
        found["prior_layers"] = field_of(parts["prior"], "n_layers", file)
        other = field_of(parts["prior"], "output_size", file)
        if other != z_dim:
            raise file.error(f"prior makes latents of {other}, but posterior of {z_dim}: they must agree")
    return found


def _training(options: Instance, learned: bool, file: WeightFile) -> dict[str, Any]:
    """Arguments that the options tell; of sampling, those of the official script, but BatchNorm's (see the docs)."""
    numbers = {}
    for name in ("beta", "lr", "beta1"):
        numbers[name] = options.fields.get(name)
        if not isinstance(numbers[name], int | float):
            raise file.error(f"opt holds {name} {numbers[name]!r}, expected a number")
    context = field_of(options, "n_past", file)
    return {
        "frames": context + field_of(options, "n_future", file),
        "context": context,
        "beta": numbers["beta"],
        "skip_source": "every_frame" if options.fields.get("last_frame_skip") else "svg_code",
        "cond_z": "sample" if learned else "mean",
        "lr": numbers["lr"],
        "betas": [numbers["beta1"], 0.999],
    }


def _agree(init_args: Mapping[str, Any], options: Instance, file: WeightFile) -> None:
    """The options are those that the networks were built by."""
    names = {"z_dim": "z_dim", "g_dim": "g_dim", "rnn_size": "rnn_size", "channels": "channels", "image_width": "size"}
    for option, key in names.items():
        found = field_of(options, option, file)
        if found != init_args[key]:
            raise file.error(f"opt holds {option} {found}, but the networks have {key} {init_args[key]}")


def _check(part: Instance, wanted: nn.Module, name: str, file: WeightFile) -> None:
    """`check_layers` of each layer; their order in a network says nothing here, since its code calls them by name."""
    children = part.fields.get("_modules") or {}
    ours = dict(wanted.named_children())
    if set(children) != set(ours):
        raise file.error(f"{name} has the parts {', '.join(children) or 'none'}, expected {', '.join(ours)}")
    for key, child in ours.items():
        theirs = children[key]
        if isinstance(theirs, Instance) and OURS.get(theirs.short_name, theirs.short_name) != type(child).__name__:
            raise file.error(f"{name}.{key} is {theirs.short_name}, expected {type(child).__name__}")
        check_layers(theirs, child, f"{name}.{key}", file, OURS)
