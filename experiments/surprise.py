"""`reelbench surprise`: whether a method is unsure just when its data surprise (SVG's figure 6)."""

import argparse
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError
from datamodules.jsonfile import write_json


def main(argv: list[str]) -> int:
    """Measures, prints and writes; returns the exit code.

    Raises:
        BenchError: a mistake that the user can mend.
    """
    parser = argparse.ArgumentParser(
        prog="reelbench surprise",
        description="How unsure a method is of each frame, from the true frames before it, at the frames where "
        "something unforeseeable happens and elsewhere. Moving digits know the bounces off their walls, whose "
        "directions are drawn: a learnt prior should widen there (SVG, Denton and Fergus 2018, figure 6). Writes "
        "FILE.json and a picture, FILE.png.",
        epilog="Any --data.KEY VALUE overrides the data config.",
    )
    parser.add_argument("run", type=Path, metavar="RUN_OR_CKPT", help="run folder (its last.ckpt), or a checkpoint")
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="a data config (default: the run's own data)")
    parser.add_argument("--events", default="bounces", help="key of the batch that tells them (default: bounces)")
    parser.add_argument("--clips", type=int, default=500, help="as many as in the paper's figure (default: 500)")
    parser.add_argument("--frames", type=int, help="of a clip (default: the data's)")
    parser.add_argument("--reach", type=int, default=5, help="frames before and after an event (default: 5)")
    parser.add_argument("--split", choices=("val", "test"), default="test", help="of the data (default: test)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of clips")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="without suffix (default: RUN/surprise)")
    args, overrides = parser.parse_known_args(argv)
    for name, least in (("clips", 2), ("reach", 0)):
        if getattr(args, name) < least:
            raise BenchError(f"--{name} must be at least {least}, found {getattr(args, name)}")

    from datamodules.media import write_png
    from experiments.data import load_data
    from experiments.export import build_method, find_run, read_checkpoint, run_config
    from experiments.surprise_picture import picture
    from lightning_modules.surprise import surprise_of

    checkpoint, run = find_run(args.run)
    method = build_method(run_config(run / "config.yaml")["model"], run / "config.yaml")
    method.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
    data = load_data(args.config or str(run / "config.yaml"), overrides)
    if args.frames is not None and args.frames < 2:
        raise BenchError(f"--frames must be at least 2, found {args.frames}")
    frames = args.frames or data.frames
    found = surprise_of(method, data, args.events, args.split, args.clips, frames, args.reach, args.seed)
    told: dict[str, Any] = {"method": type(method).__name__, "run": run.name, "events": args.events, "data": data.name}
    told |= {"split": args.split, "split_digest": data.split_digest(args.split), "seed": args.seed}
    out = args.out or run / "surprise"
    write_json(out.with_name(f"{out.name}.json"), {**told, "found": found.as_dict()})
    write_png(out.with_name(f"{out.name}.png"), picture(found, args.events))
    for name in ("at", "elsewhere", "difference"):
        mean = getattr(found, name)
        error = "" if mean.standard_error is None else f" +- {mean.standard_error:.2g}"
        print(f"{name}: {mean.value:.5g}{error}  ({mean.frames} frames)")
    print(f"{found.events} {args.events} in {found.clips} clips of {data.name}: {out}.json, {out}.png")
    return 0
