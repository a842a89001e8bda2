"""Modules as the official code pickles them, made of our networks, through the converter."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from datamodules.errors import BenchError
from lightning_modules.formats.content import Instance, WeightFile
from lightning_modules.formats.conversion import Conversion
from lightning_modules.svg.convert import CLASSES, OURS, convert
from lightning_modules.svg.module import SVG
from tests.lightning_modules.svg.test_svg_networks import tiny

OFFICIAL = {ours: official for official, ours in OURS.items()}
SETTINGS = ("kernel_size", "stride", "padding", "eps", "negative_slope", "scale_factor", "hidden_size")


def pickled(module: nn.Module, class_name: str) -> Instance:
    """What the readers make of a module that was pickled whole."""
    fields: dict[str, Any] = {name: getattr(module, name) for name in SETTINGS if hasattr(module, name)}
    fields["_parameters"] = {name: p.detach() for name, p in module.named_parameters(recurse=False)}
    fields["_buffers"] = dict(module._buffers)
    fields["_modules"] = {
        name: pickled(child, f"models.any.{OFFICIAL.get(type(child).__name__, type(child).__name__)}")
        for name, child in module.named_children()
    }
    return Instance(class_name, fields)


def content(method: SVG, source: str, beta1: float = 0.9) -> dict[str, Any]:
    """The dict in model.pth."""
    g = method.generator
    assert g.posterior is not None
    z_dim, g_dim, rnn_size = g.z_dim, g.posterior.embed.in_features, g.posterior.embed.out_features
    found: dict[str, Any] = {
        name: pickled(getattr(g, name), f"models.{source}.{name}") for name in ("encoder", "decoder")
    }
    found["encoder"].fields["dim"] = g_dim
    sizes = {"hidden_size": rnn_size, "n_layers": 1, "batch_size": 7, "hidden": [torch.ones(7, rnn_size)]}
    predictor = pickled(g.frame_predictor, "models.lstm.lstm")
    predictor.fields |= {**sizes, "input_size": g_dim + z_dim, "output_size": g_dim, "n_layers": 2}
    found["frame_predictor"] = predictor
    for name in ("posterior", "prior"):
        if (part := getattr(g, name)) is not None:
            found[name] = pickled(part, "models.lstm.gaussian_lstm")
            found[name].fields |= {**sizes, "input_size": g_dim, "output_size": z_dim}
    options: dict[str, Any] = {"z_dim": z_dim, "g_dim": g_dim, "rnn_size": rnn_size, "channels": method.channels}
    options |= {"image_width": method.size, "n_past": method.context, "n_future": method.frames - method.context}
    options |= {"beta": method.beta, "lr": method.lr, "beta1": beta1}
    options["last_frame_skip"] = method.skip_source == "every_frame"
    return {**found, "opt": Instance("argparse.Namespace", options)}


def converted(made: dict[str, Any]) -> Conversion:
    return convert([WeightFile(Path("model.pth"), "torch zip", made)])


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("dcgan_64", {"size": 64}),
        ("dcgan_128", {"size": 128, "channels": 3, "skip_source": "every_frame"}),
        ("vgg_64", {"size": 64, "backbone": "vgg", "prior": "fixed", "cond_z": "mean"}),
        ("vgg_128", {"size": 128, "backbone": "vgg", "beta": 0.5, "lr": 0.1}),
    ],
)
def test_weights_and_arguments_come_back(source: str, options: dict[str, Any]) -> None:
    method = tiny(**options)
    conversion = converted(content(method, source, beta1=0.5))
    with torch.device("meta"):
        again = SVG(**conversion.init_args)
    assert conversion.fit(again) == [] and "hidden" in conversion.left_out
    state = method.generator.state_dict()
    assert state.keys() == conversion.states["generator"].keys()
    assert all(torch.equal(conversion.states["generator"][name], value) for name, value in state.items())
    said = {"size": method.size, "frames": 6, "context": 3, "nf": 2, "g_dim": 5, "z_dim": 3, "rnn_size": 4}
    assert conversion.init_args.items() >= (said | options).items()
    assert again.betas == [0.5, 0.999] and again.beta == method.beta


def change(part: str, **fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda made: made[part].fields.update(fields)


def wider_heads(made: dict[str, Any]) -> None:
    """A posterior that says z 3 and has heads of 4."""
    for head in ("mu_net", "logvar_net"):
        parameters = made["posterior"].fields["_modules"][head].fields["_parameters"]
        parameters.update({"weight": torch.zeros(4, 4), "bias": torch.zeros(4)})


def other_stride(made: dict[str, Any]) -> None:
    block = made["encoder"].fields["_modules"]["c2"].fields["_modules"]["main"]
    block.fields["_modules"]["0"].fields["stride"] = (1, 1)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda made: made.pop("opt"), "it lacks opt"),
        (lambda made: made.pop("posterior"), "expected a dict of .* it lacks posterior"),
        (change("opt", z_dim=9), "opt holds z_dim 9, but the networks have z_dim 3"),
        (change("opt", image_width=128), "opt holds image_width 128, but the networks have size 64"),
        (change("opt", n_past=None), "holds n_past None, expected a whole number"),
        (change("opt", n_past=1, n_future=5), "1 frame is given, and skip_source svg_code"),
        (change("opt", beta="much"), "opt holds beta 'much', expected a number"),
        (change("posterior", output_size=4), "frame_predictor takes 8 numbers, expected 9: a code of 5 .* latent of 4"),
        (change("prior", output_size=4), "prior makes latents of 4, but posterior of 3"),
        (wider_heads, r"posterior.mu_net.weight has shape \(4, 4\), expected \(3, 4\)"),
        (other_stride, r"encoder.c2.main.0 has stride \(1, 1\), expected \(2, 2\)"),
        (lambda made: made["encoder"].fields["_modules"].pop("c5"), "encoder has the parts c1, c2, c3, c4, expected"),
        (
            lambda made: made.update(decoder=made["prior"]),
            "decoder is models.lstm.gaussian_lstm, expected models.dcgan",
        ),
        (lambda made: made.update(prior=made["frame_predictor"]), "prior is models.lstm.lstm, expected"),
    ],
)
def test_what_does_not_fit_is_named(edit: Callable[[dict[str, Any]], object], message: str) -> None:
    method = tiny(size=64)
    made = content(method, "dcgan_64")
    edit(made)
    with pytest.raises(BenchError, match=f"(?s)model.pth.*{message}"):
        conversion = converted(made)
        with torch.device("meta"):
            conversion.fit(SVG(**conversion.init_args))


def test_one_file_of_a_dict() -> None:
    file = WeightFile(Path("model.pth"), "torch zip", [1])
    with pytest.raises(BenchError, match="holds list, expected a dict"):
        convert([file])
    with pytest.raises(BenchError, match="svg takes one file, model"):
        convert([file, file])


def test_classes_are_those_of_the_official_code() -> None:
    assert {"models.vgg_128.vgg_layer", "models.lstm.lstm", "torch.optim.rmsprop.RMSprop"} <= CLASSES
    assert all(name.split(".")[0] in ("models", "torch", "argparse") for name in CLASSES)
