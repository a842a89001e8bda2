"""`reelbench score REAL FAKE`: metrics of any generator's videos against real ones."""

import argparse
import os
from pathlib import Path

from datamodules.errors import BenchError

EPILOG = (
    "exit code: 0 at least one metric has a value, 1 none has one (each entry says why), 2 nothing could be scored. "
    "What was read of a video is kept in REELBENCH_CACHE: the same command again goes on behind the last video."
)


def main(argv: list[str]) -> int:
    """Scores; returns the exit code.

    Raises:
        BenchError: a mistake that the user can mend.
    """
    args = _parser().parse_args(argv)
    # Before torch is imported. Its threads spin where they wait for one another; beside threads that decode, on the
    # same cores, that took twice the processor time and up to ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from experiments.score import output
    from experiments.score.names import choose
    from experiments.score.policy import load
    from experiments.score.scoring import Request, score

    if args.threads is not None and args.threads < 1:
        raise BenchError(f"--threads must be at least 1, found {args.threads}")
    settings = ("frames", "stride", "windows", "size", "fit", "fps", "context", "n_real", "n_fake", "seed")
    policy, own = load(args.protocol, {key: getattr(args, key) for key in settings})
    asked = args.metrics.split(",") if args.metrics else list(own) or ["fvd"]
    entries = score(
        Request(
            real=args.real,
            fake=args.fake,
            columns=choose(asked, own),
            policy=policy,
            suffix=args.suffix,
            resize=args.resize,
            cache=args.cache,
            keep=not args.no_cache,
            device=args.device,
            threads=args.threads,
        )
    )
    print(output.as_json(entries) if args.json else output.as_table(entries))
    return int(all(entry["value"] is None for entry in entries))


def _parser() -> argparse.ArgumentParser:
    from experiments.score.names import METRICS, plain

    parser = argparse.ArgumentParser(prog="reelbench score", description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "real", type=Path, metavar="REAL", help="a video, or a folder of videos, frames, strips, arrays"
    )
    parser.add_argument("fake", type=Path, metavar="FAKE", help="the same of the generator")
    names = ", ".join(map(plain, METRICS))
    parser.add_argument(
        "--metrics", metavar="NAMES", help=f"separated by commas, of: {names} (default: the protocol's, or fvd)"
    )
    parser.add_argument(
        "--protocol",
        metavar="NAME|FILE",
        help="a packaged protocol, such as tfgan_reference, or a file (default: the first 16 frames of every video)",
    )
    parser.add_argument("--json", action="store_true", help='{"results": [{"metric", "value", "stderr", "n", ...}]}')
    clips = parser.add_argument_group("clips, where they differ from the protocol's")
    clips.add_argument("--frames", type=int, metavar="T", help="of a clip (default: 16); shorter videos are skipped")
    clips.add_argument("--stride", type=int, help="every STRIDE-th frame (default: 1)")
    clips.add_argument(
        "--windows",
        choices=("first", "random", "all"),
        help="of longer videos the first clip (default), one drawn by the video's name and the seed, or all",
    )
    clips.add_argument("--seed", type=int, help="draws videos (--n-real, --n-fake) and random windows (default: 0)")
    clips.add_argument("--size", metavar="HxW", help="of frames (default: that of the first real video)")
    clips.add_argument(
        "--fit", choices=("squash", "crop", "pad"), help="how other aspects are fitted (default: squash)"
    )
    clips.add_argument("--fps", type=float, help="bring videos to this rate (default: every frame of the file)")
    clips.add_argument("--context", type=int, metavar="K", help="leave out K first frames that the generator was given")
    clips.add_argument("--n-real", type=int, metavar="N", help="score N real clips, drawn by name (default: all)")
    clips.add_argument("--n-fake", type=int, metavar="N", help="score N generated clips (default: all)")
    clips.add_argument("--suffix", help="take only files that end so, where a video lies there in two formats")
    clips.add_argument("--resize", action="store_true", help="let paired metrics compare videos of different sizes")
    how = parser.add_argument_group("how")
    how.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU where there is one)")
    how.add_argument("--threads", type=int, help="that decode (default: one a core)")
    how.add_argument(
        "--cache", type=Path, metavar="DIR", help="where numbers are kept (default: score in REELBENCH_CACHE)"
    )
    how.add_argument("--no-cache", action="store_true", help="keep nothing, read everything")
    return parser
