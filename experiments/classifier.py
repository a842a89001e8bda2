"""`reelbench classifier`: trains the classifier of a data set's categories that several metrics ask."""

import argparse
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError


def main(argv: list[str]) -> int:
    """Trains, writes the file and says how often it is right; returns the exit code.

    Raises:
        BenchError: a mistake that the user can mend.
    """
    parser = argparse.ArgumentParser(
        prog="reelbench classifier",
        description="Trains a classifier of the categories of a data set: the judge of motion control scores and "
        "entropies (metrics.classifier_score, metrics.entropy). Adam as in TwoStreamVAN's evaluation.",
        epilog="Any --data.KEY VALUE overrides the config.",
    )
    parser.add_argument("config", metavar="CONFIG", help="a data config, such as data/shape_motion")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the .safetensors file to write")
    parser.add_argument(
        "--attribute",
        default="category",
        help="what to tell apart (default: category); several are joined, as subject+category",
    )
    parser.add_argument("--steps", type=int, default=2000, help="training steps (default: 2000; the original 100,000)")
    parser.add_argument("--batch", type=int, default=32, help="clips a step (default: 32)")
    parser.add_argument("--width", type=int, default=64, help="of the first layer (default: 64)")
    parser.add_argument(
        "--lr",
        type=float,
        default=5e-4,
        help="learning rate (default: 5e-4; the original's for subject+category: 1e-4)",
    )
    parser.add_argument(
        "--decay", type=float, default=0.995, help="of it an epoch (default: 0.995; for subject+category: 0.999)"
    )
    parser.add_argument(
        "--crop",
        type=int,
        default=0,
        help="rows and columns left out, at random in training and in the middle later (default: 0; the original 5)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights and clips")
    args, overrides = parser.parse_known_args(argv)
    for name in ("steps", "batch", "width"):
        if getattr(args, name) < 1:
            raise BenchError(f"--{name} must be at least 1, found {getattr(args, name)}")
    if args.out.suffix != ".safetensors":
        raise BenchError(f"--out must end in .safetensors, found {args.out}")
    if not 0 < args.decay <= 1:
        raise BenchError(f"--decay must lie in (0, 1], found {args.decay}")
    from experiments.data import load_data
    from metrics.features.action_classifier import save_classifier
    from metrics.features.action_training import Training, fit, validated

    data = load_data(args.config, overrides)
    settings = Training(**{field.name: getattr(args, field.name) for field in fields(Training)})
    network, classes = fit(data, settings, _progress)
    right = validated(network, data, args.attribute, args.crop)
    about: dict[str, Any] = {**asdict(settings), "classes": classes, "data": data.name}
    about |= {"split": data.split_digest("train"), "accuracy": f"{right:.4f}"}
    save_classifier(network, args.out, **{key: str(value) for key, value in about.items()})
    print(f"{args.out}: {classes} classes of {data.name}, right on {right:.1%} of the validation clips")
    return 0


def _progress(step: int, steps: int, loss: float) -> None:
    if step % max(1, steps // 10) == 0 or step == steps:
        print(f"step {step} of {steps}: loss {loss:.4f}", flush=True)
