"""`reelbench represent`: teaches the discriminator of a VGAN run to tell actions, and says how often it is right."""

import argparse
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError
from datamodules.jsonfile import write_json

INITS = ("run", "frozen", "random")


def main(argv: list[str]) -> int:
    """Fine-tunes, prints and, where asked, writes the accuracy; returns the exit code.

    Raises:
        BenchError: a mistake that the user can mend.
    """
    parser = argparse.ArgumentParser(
        prog="reelbench represent",
        description="Fine-tunes the discriminator of a VGAN run on the labels of a data set, as VGAN's paper does on "
        "UCF-101, and says how often it is right.",
        epilog="Any --data.KEY VALUE overrides the data config.",
    )
    parser.add_argument("run", type=Path, metavar="RUN_OR_CKPT", help="run folder (its last.ckpt), or a checkpoint")
    parser.add_argument("config", metavar="CONFIG", help="a data config with labels, such as data/ucf101")
    parser.add_argument("--attribute", default="category", help="what to tell apart (default: category)")
    parser.add_argument(
        "--init",
        choices=INITS,
        default="run",
        help="run: start from the run's weights, train all layers; frozen: train the last layer alone; random: start "
        "from fresh weights",
    )
    parser.add_argument("--protocol", metavar="NAME|FILE", help="a packaged protocol, such as vgan_ucf, or a file")
    changed = parser.add_argument_group("where they differ from the protocol's")
    changed.add_argument("--split", choices=("val", "test"), help="which to score (default: test)")
    changed.add_argument("--steps", type=int, help="training steps (default, official: 1000)")
    changed.add_argument("--batch", type=int, help="clips a step (default, official: 256)")
    changed.add_argument("--clips", type=int, help="judged of each video (default: 1)")
    changed.add_argument(
        "--average",
        choices=("probabilities", "logits", "votes"),
        help="what of a video's clips is averaged (default: probabilities)",
    )
    changed.add_argument("--seed", type=int, help="of new weights, clips and dropout (default: 0)")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="a .json file to write the accuracy to")
    args, overrides = parser.parse_known_args(argv)
    import torch

    from experiments.data import load_data
    from experiments.export import build_method, find_run, read_checkpoint, run_config
    from experiments.represent_protocol import load
    from lightning_modules.sizes import check_sizes
    from lightning_modules.vgan.actions import ActionNetwork, accuracy, classes_of, fine_tune
    from lightning_modules.vgan.module import VGAN
    from lightning_modules.vgan.networks import bottom_frames, init_weights

    settings = ("split", "steps", "batch", "clips", "average", "seed")
    protocol = load(args.protocol, {key: getattr(args, key) for key in settings})
    checkpoint, run = find_run(args.run)
    method = build_method(run_config(run / "config.yaml")["model"], run / "config.yaml")
    if not isinstance(method, VGAN):
        raise BenchError(f"{args.run} is a run of {type(method).__name__}; reelbench represent takes one of VGAN")
    method.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
    data = load_data(args.config, [*protocol.overrides, *overrides])
    for key in ("frames", "stride"):
        asked, found = getattr(protocol, key), getattr(data, key)
        if asked not in (None, found):
            raise BenchError(f"--data.{key} is {found}, but protocol {protocol.label} asks for {asked}: leave it out")
    check_sizes(data, size=method.size, frames=method.frames, channels=method.channels)
    torch.manual_seed(protocol.seed)
    discriminator = method.discriminator
    if args.init == "random":
        for layer in discriminator.children():
            layer.reset_parameters()  # type: ignore[operator]
        init_weights(discriminator)
    bottom = bottom_frames(method.frames, method.size)
    network = ActionNetwork(discriminator, classes_of(data, args.attribute), bottom, frozen=args.init == "frozen")
    fine_tune(network, data, args.attribute, protocol.steps, protocol.batch, protocol.seed, progress=_progress)
    split = protocol.split
    right, videos = accuracy(network, data, args.attribute, split, protocol.clips, protocol.average, protocol.seed)
    told: dict[str, Any] = {"accuracy": right, "videos": videos, "init": args.init, "run": run.name}
    told |= {"protocol": protocol.label}
    told |= protocol.conditions(
        data=data.name,
        split_digest=data.split_digest(split),
        attribute=args.attribute,
        frames=data.frames,
        stride=data.stride,
    )
    if args.out is not None:
        write_json(args.out, told)
    print(f"{args.init}: right on {right:.1%} of the {videos} {split} videos of {data.name}")
    return 0


def _progress(step: int, steps: int, loss: float) -> None:
    if step % max(1, steps // 10) == 0 or step == steps:
        print(f"step {step} of {steps}: loss {loss:.4f}", flush=True)
