"""The official SVG's numbers, reproduced: one test for each file `svg_*.safetensors` under REELBENCH_PARITY."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.svg.blocks import Decoder, Encoder, batch_statistics
from lightning_modules.svg.losses import kl_divergence
from lightning_modules.svg.module import SVG
from lightning_modules.svg.networks import BACKBONES
from lightning_modules.svg.recurrent import Gaussian, GaussianLstm, Lstm
from tests.parity.official import PARITY, OfficialNumbers, official_files

FILES = official_files("svg_*.safetensors")
# One parameter even without a file, so that what is missing is said and not just collected as nothing.
PARAMETERS = FILES or [Path("svg_no_files")]
# Ends of the keys of outputs, and the option that they were made with.
SKIPS = {"": "svg_code", "_lastframeskip": "every_frame"}
Network = TypeVar("Network", bound=nn.Module)


class Fixture(OfficialNumbers):
    """One file, and how its weights are loaded."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.groups["weights"] = {name.replace("/", "."): tensor for name, tensor in self.groups["weights"].items()}

    def load(self, network: Network, part: str = "") -> Network:
        """The weights of `part`, or all."""
        weights = self.groups["weights"].items()
        network.load_state_dict({key.removeprefix(f"{part}."): t for key, t in weights if key.startswith(part)})
        return network


def check_backbone(fixture: Fixture) -> None:
    _, backbone, size = fixture.name.split("_")
    made = fixture.constructor["encoder"]
    assert made == fixture.constructor["decoder"]
    # The official width is a constant, which the file narrows without saying to what.
    nf = next(len(t) for name, t in fixture.groups["weights"].items() if name.startswith("encoder.c1") and t.ndim)
    classes = BACKBONES[backbone]
    encoder: Encoder = classes[0](made["nc"], made["dim"], nf, int(size))
    decoder: Decoder = classes[1](made["nc"], made["dim"], nf, int(size))
    computed = {}
    for mode in ("eval", "train"):
        fixture.load(encoder, "encoder").train(mode == "train")
        fixture.load(decoder, "decoder").train(mode == "train")
        codes, maps = encoder(fixture.input["x"])
        computed[f"h_{mode}"] = codes
        computed[f"y_{mode}"] = decoder(fixture.input["vec"], decoder.seen(maps))
        if mode == "eval":
            computed |= {f"skip{i}_absmean_eval": m.abs().mean((1, 2, 3)) for i, m in enumerate(maps)}
            computed[f"skip{len(maps) - 1}_eval"] = maps[-1]
    fixture.check(computed)


def sizes(fixture: Fixture) -> tuple[int, int, int, int]:
    c = fixture.constructor
    return c["input_size"], c["output_size"], c["hidden_size"], c["n_layers"]


def check_lstm(fixture: Fixture) -> None:
    network = fixture.load(Lstm(*sizes(fixture)))
    (x,) = fixture.input.values()
    whole, _ = network(x.transpose(0, 1))
    state, steps = None, []
    for step in x:  # the same, fed one by one
        out, state = network(step[:, None], state)
        steps.append(out)
    torch.testing.assert_close(torch.cat(steps, 1), whole)
    assert state is not None
    h, c = (torch.stack(part) for part in zip(*state, strict=True))
    fixture.check({"y": whole.transpose(0, 1), "h_final": h, "c_final": c})


def check_gaussian_lstm(fixture: Fixture) -> None:
    network = fixture.load(GaussianLstm(*sizes(fixture)))
    believed, _ = network(fixture.input["x"].transpose(0, 1))
    z = believed.at(fixture.input["eps"].transpose(0, 1))
    found = {"z": z, "mu": believed.mean, "logvar": believed.logvar}
    fixture.check({name: value.transpose(0, 1) for name, value in found.items()})


def check_kl(fixture: Fixture) -> None:
    given = fixture.input
    q, p = (Gaussian(given[f"mu{i}"][:, None], given[f"logvar{i}"][:, None]) for i in (1, 2))
    fixture.check({"kl_lp": kl_divergence(q, p).sum(1).mean(), "kl_fp": kl_divergence(q, None).sum(1).mean()})


def build(fixture: Fixture, skip_source: str) -> SVG:
    c = fixture.constructor
    backbone, size = c["model"].split("_")
    learned = "prior_rnn_layers" in c
    method = SVG(
        size=int(size),
        channels=c["channels"],
        frames=c["n_past"] + c["n_future"],
        context=c["n_past"],
        prior="learned" if learned else "fixed",
        backbone=backbone,
        nf=c["nf"],
        g_dim=c["g_dim"],
        z_dim=c["z_dim"],
        rnn_size=c["rnn_size"],
        predictor_layers=c["predictor_rnn_layers"],
        posterior_layers=c["posterior_rnn_layers"],
        prior_layers=c.get("prior_rnn_layers", 1),
        beta=c["beta"],
        skip_source=skip_source,  # type: ignore[arg-type]
        cond_z="sample" if learned else "mean",
        lr=c["lr"],
    )
    fixture.load(method.generator)
    return method


def gradients(method: SVG) -> dict[str, Tensor]:
    """Norms of each network's gradients in the order of its parameters, and two gradients whole."""
    every: dict[str, list[Tensor]] = {}
    for name, parameter in method.generator.named_parameters():
        assert parameter.grad is not None
        every.setdefault(name.split(".")[0], []).append(parameter.grad.norm())
    found = {f"grad_norm_{part}": torch.stack(norms) for part, norms in every.items()}
    embed = method.generator.frame_predictor.embed.weight.grad
    first = method.generator.get_parameter("encoder.c1.main.0.weight").grad
    assert embed is not None and first is not None
    return {**found, "grad_frame_predictor.embed.weight": embed, "grad_encoder.c1_first_conv": first}


def check_step(fixture: Fixture, end: str) -> dict[str, Tensor]:
    """One training step; `end` of the keys of its outputs."""
    method = build(fixture, SKIPS[end]).train()
    video = fixture.input["x"].permute(1, 2, 0, 3, 4)  # B C T H W
    frames = video.shape[2]
    forecast = method.generator(video, fixture.input["eps_post"].transpose(0, 1)[None], method.context)
    loss, logged = method.loss(forecast, video)
    assert forecast.posterior is not None
    loss.backward()
    found = gradients(method)
    given = method.generator.frame_predictor.embed.weight.detach().clone()
    method.configure_optimizers().step()
    official = fixture.expected[f"grad_frame_predictor.embed.weight{end}"]
    check_adam(official, fixture.constructor["lr"], given, method.generator.frame_predictor.embed.weight.detach())
    return {
        **found,
        "train_loss": loss,
        # The official averages divide a sum of T-1 terms by T.
        "train_mse_returned": logged["mse"] * (frames - 1) / frames,
        "train_kld_returned": logged["kl"] * (frames - 1) / frames,
        "train_kl_per_step": kl_divergence(forecast.posterior, forecast.prior).mean(0),
        "train_pred": forecast.video.permute(2, 0, 1, 3, 4),
        # The file holds the module's weights as they were when it was written: loaded again, for the rollouts.
        "after_adam_frame_predictor.embed.weight": given,
    }


def check_adam(gradient: Tensor, lr: float, given: Tensor, after: Tensor) -> None:
    """Adam's first step moves a weight by lr g / (|g| + eps)."""
    g = gradient.double()
    clear = g.abs() > 1e-6  # below, eps lets the rounding of g show
    assert clear.double().mean() > 0.5
    moved = (given - lr * g / (g.abs() + 1e-8)).float()
    torch.testing.assert_close(after[clear], moved[clear], rtol=0, atol=1e-5)


@torch.no_grad()
def check_rollouts(fixture: Fixture, skip_source: str, mode: str) -> dict[str, Tensor]:
    """Futures, predicted and reconstructed, by BatchNorm's `bntrain` or `bneval`."""
    method = build(fixture, skip_source).eval()
    video = fixture.input["x"].permute(1, 2, 0, 3, 4)
    given = method.context
    eps = torch.cat([fixture.input["eps_post"][: given - 1], fixture.input["eps_prior"][given - 1 :]]).transpose(0, 1)
    with batch_statistics(method.generator) if mode == "bntrain" else nullcontext():
        future = method.generator(video[:, :, :given], eps[None], given).video
        again = method.generator.reconstruct(video, given)
    return {
        name: clips.permute(2, 0, 1, 3, 4) for name, clips in (("gen_prior", future), ("gen_posterior_mean", again))
    }


@torch.no_grad()
def running_mean(fixture: Fixture) -> Tensor:
    """`after_encoder_running_mean*` of both keys.

    The file holds the buffer as it was when the file was written, not behind the training step: the last passes by
    batch statistics were, where there are any of `*_lastframeskip_bntrain`, a reconstruction and a prediction with
    --last_frame_skip, from the given weights; else there were none since the weights were loaded. The loop of these
    passes encodes the frame before each one, own or given, and, to reconstruct or while frames are given, the true one.
    The training step's own statistics are compared with a literal loop in tests/lightning_modules/svg.
    """
    encoder = build(fixture, "svg_code").generator.encoder.train()
    video, given = fixture.input["x"], fixture.constructor["n_past"]
    for rollout in ("gen_posterior_mean", "gen_prior"):
        future = fixture.expected.get(f"{rollout}_lastframeskip_bntrain")
        if future is None:
            continue
        fed = torch.cat([video[:given], future])
        for t in range(1, len(video)):
            encoder(fed[t - 1])
            if rollout == "gen_posterior_mean" or t < given:
                encoder(video[t])
    return encoder.get_buffer("c1.main.1.running_mean")


def check_sequence(fixture: Fixture) -> None:
    computed: dict[str, Tensor] = {}
    for end, skip_source in SKIPS.items():
        computed |= {f"{name}{end}": value for name, value in check_step(fixture, end).items()}
        computed[f"after_encoder_running_mean{end}"] = running_mean(fixture)
        for mode in ("bntrain", "bneval"):
            if f"gen_prior{end}_{mode}" in fixture.expected:
                found = check_rollouts(fixture, skip_source, mode)
                computed |= {f"{name}{end}_{mode}": value for name, value in found.items()}
    fixture.check(computed)


CHECKS: dict[str, Callable[[Fixture], None]] = {
    "svg_gaussian_lstm": check_gaussian_lstm,
    "svg_kl": check_kl,
    "svg_lstm": check_lstm,
}


@pytest.mark.parametrize("path", PARAMETERS, ids=[f"parity-{path.stem}" for path in PARAMETERS])
def test_official_numbers(path: Path) -> None:
    if not PARITY:
        pytest.skip("REELBENCH_PARITY is not set: the official SVG's numbers are not compared")
    assert FILES, f"no svg_*.safetensors in REELBENCH_PARITY ({PARITY})"
    torch.manual_seed(0)
    fixture = Fixture(path)
    whole = check_sequence if fixture.name.endswith("_sequence") else check_backbone
    CHECKS.get(fixture.name, whole)(fixture)
