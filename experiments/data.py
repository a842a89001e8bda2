"""`reelbench data`: look after videos and their caches before a run needs them."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError

CODES = "exit code: 0 all can be used (warnings too), 1 at least one cannot, 2 nothing could be checked"


def main(argv: list[str]) -> int:
    """Runs `check`, `build`, `verify` or `show`; returns the exit code.

    Raises:
        BenchError: a mistake that the user can mend.
    """
    parser = argparse.ArgumentParser(prog="reelbench data", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for add in (_add_check, _add_build, _add_verify, _add_show):
        add(actions)
    args, rest = parser.parse_known_args(argv)
    if rest and not getattr(args, "overrides", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    action: Callable[[argparse.Namespace, list[str]], int] = args.action
    return action(args, rest)


def _add_check(actions: Any) -> None:
    text = "decode every video of a file, folder or manifest and say what is wrong with it"
    parser = actions.add_parser("check", help=text, description=f"{text.capitalize()}.", epilog=CODES)
    parser.add_argument("path", type=Path, metavar="PATH", help="a video, a folder of videos, or a manifest (.csv)")
    parser.add_argument(
        "--json", action="store_true", help='{"files": [{"path", "status": "ok|warning|error", "frames", "reason"}]}'
    )
    parser.set_defaults(action=_check)


def _add_build(actions: Any) -> None:
    text = "decode a data set into its cache, or go on with a build that was killed"
    parser = actions.add_parser("build", help=text, description=f"{text.capitalize()}.")
    _add_config(parser)
    parser.add_argument("--stage-to", type=Path, metavar="DIR", help="copy the cache there (default: REELBENCH_STAGE)")
    parser.set_defaults(action=_build)


def _add_verify(actions: Any) -> None:
    text = "compare the frames in a data set's cache with the digests they were written with"
    parser = actions.add_parser("verify", help=text, description=f"{text.capitalize()}.", epilog=CODES)
    _add_config(parser)
    parser.set_defaults(action=_verify)


def _add_show(actions: Any) -> None:
    text = "draw what a data config yields: frames, poses, labels, flow, masks"
    parser = actions.add_parser("show", help=text, description=f"{text.capitalize()}.")
    _add_config(parser)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the .png file to write")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train")
    parser.add_argument("--n", type=int, default=4, metavar="CLIPS", help="clips shown (default: 4)")
    parser.add_argument("--columns", type=int, default=8, help="frames shown of each clip (default: 8)")
    parser.add_argument("--side", type=int, default=256, help="larger frames are reduced to it (default: 256 pixels)")
    parser.add_argument("--seed", type=int, default=0, help="another seed shows other clips")
    parser.set_defaults(action=_show)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="a data config, such as data/folder; a run's config will do")
    parser.epilog = f"Any --data.KEY VALUE overrides the config. {parser.epilog or ''}".strip()
    parser.set_defaults(overrides=True)


def _check(args: argparse.Namespace, rest: list[str]) -> int:
    from datamodules.check import check

    results = []
    for done in check(args.path):
        results.append(done)
        if not args.json:
            print(f"{done.status:7} {done.frames:6} frames  {done.path}{': ' if done.reason else ''}{done.reason}")
    if args.json:
        print(json.dumps({"files": [done._asdict() for done in results]}, indent=1))
    else:
        counts = [f"{[d.status for d in results].count(kind)} {kind}" for kind in ("ok", "warning", "error")]
        print(f"{len(results)} videos: {', '.join(counts)}")
    return int(any(done.status == "error" for done in results))


def _build(args: argparse.Namespace, rest: list[str]) -> int:
    from datamodules.cache_stage import VARIABLE
    from datamodules.cached_data import HasCaches
    from datamodules.files import readable_size

    if args.stage_to:
        os.environ[VARIABLE] = str(args.stage_to)
    data = load_data(args.config, rest)
    if not isinstance(data, HasCaches):
        for split in ("train", "val", "test"):
            print(f"{data.name} is generated, {split}: {len(data.store(split).lengths)} videos")
        return 0
    for cache in data.caches():
        left_out = f", {len(cache.skipped)} skipped, {len(cache.dropped)} dropped, {len(cache.cut)} cut off"
        frames, size = int(cache.lengths.sum()), (cache.folder / "frames.u8").stat().st_size
        videos = f"{len(cache.names)} videos, " if frames > len(cache.names) else ""
        print(f"{cache.folder}: {videos}{frames:,} frames, {readable_size(size)}{left_out}")
    return 0


def _verify(args: argparse.Namespace, rest: list[str]) -> int:
    from datamodules.cache_verify import damaged_videos
    from datamodules.cached_data import HasCaches

    data = load_data(args.config, rest)
    if not isinstance(data, HasCaches):
        print(f"{data.name} is generated: there is nothing to verify")
        return 0
    found = False
    for cache in data.built():
        damaged, total = damaged_videos(cache), len(cache.names)
        for name, reason in damaged:
            print(f"damaged: {name}: {reason}")
        entries = "videos" if int(cache.lengths.sum()) > total else "frames"
        print(f"{cache.folder}: {total - len(damaged)} of {total} {entries} are as they were written")
        if damaged:
            print("delete the folder once no run reads it, then build it again", file=sys.stderr)
        found |= bool(damaged)
    return int(found)


def _show(args: argparse.Namespace, rest: list[str]) -> int:
    for name in ("n", "columns", "side"):
        if getattr(args, name) < 1:
            raise BenchError(f"--{name} must be at least 1, found {getattr(args, name)}")
    if args.out.suffix != ".png":
        raise BenchError(f"--out must end in .png, found {args.out}")
    from datamodules.media import write_png
    from datamodules.show import attributes, sheet

    data = load_data(args.config, rest)
    batch = data.eval_batch(args.split, range(args.n), data.frames, data.stride, args.seed)
    write_png(args.out, sheet(batch, args.columns, data.limbs, args.side))
    keys = ", ".join(sorted(key for key in batch if key not in ("index", "name")))
    print(f"{args.out}: {args.n} clips of {data.name} ({args.split}): {keys}")
    for clip, name in enumerate(batch["name"]):
        print("  " + ", ".join([name, *attributes(batch, clip)]))
    return 0


def load_data(config: str, overrides: list[str]) -> Any:
    """The datamodule of a config; its other parts, such as the method, are passed over."""
    import yaml

    from datamodules.base import ClipData
    from experiments.arguments import config_path
    from experiments.parser import SuiteParser

    path = config_path(config)
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(loaded, dict) or "data" not in loaded:
        raise BenchError(f"{path}: a data config has the key data, found {', '.join(loaded or {}) or 'nothing'}")
    parser = SuiteParser()
    parser.add_subclass_arguments(ClipData, "data", required=True)
    parsed = parser.parse_args([f"--data={json.dumps(loaded['data'])}", *overrides])
    return parser.instantiate(parsed).data
