"""`reelbench weights`: the published weights that metrics need. Nothing else in the bench downloads anything."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datamodules.errors import BenchError
from datamodules.files import readable_size
from metrics.weights import CATALOGUE, MissingWeights, WeightsFile, digests, entry, folder, locate, problem


def main(argv: list[str]) -> int:
    """Runs `list`, `fetch` or `verify`; returns the exit code.

    Raises:
        BenchError: a mistake that the user can mend.
    """
    parser = argparse.ArgumentParser(
        prog="reelbench weights",
        description="Published weights: which there are, under which licence, and whether they lie on this machine.",
        epilog="They lie in REELBENCH_WEIGHTS (default: weights in REELBENCH_CACHE, ~/.cache/reelbench).",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _add(actions, "list", _list, "*", "show name, size, licence, digest, origin and whether it is there")
    _add(actions, "fetch", _fetch, "+", "download weights and check them; a broken download is taken up again")
    _add(actions, "verify", _verify, "*", "hash the files that are there; exit code 1 if one is not what was published")
    args = parser.parse_args(argv)
    action: Callable[[list[str]], int] = args.action
    return action(args.names)


def _add(actions: Any, name: str, action: Callable[[list[str]], int], count: str, text: str) -> None:
    parser = actions.add_parser(name, help=text, description=f"{text.capitalize()}.")
    default = "" if count == "+" else " (default: all)"
    parser.add_argument("names", nargs=count, metavar="NAME", help=f"as `reelbench weights list` shows it{default}")
    parser.set_defaults(action=action)


def _list(names: list[str]) -> int:
    files = [entry(name) for name in names] or list(CATALOGUE.values())
    width = max(len(file.name) for file in files)
    for file in files:
        state, where = _state(file)
        size = readable_size(file.size) if file.size else "size unknown"
        print(f"{file.name:{width}}  {state}  ({size}; for {file.used_by})")
        for word, text in (
            ("file", where),
            ("digest", _digest(file)),
            ("licence", file.licence),
            ("from", _from(file)),
        ):
            print(f"    {word:8}{text}")
    print(f"folder: {folder()}")
    return 0


def _state(file: WeightsFile) -> tuple[str, str]:
    try:
        return "present", str(locate(file.name))
    except MissingWeights:
        return "missing", file.file
    except BenchError as error:
        return "WRONG", str(error)


def _digest(file: WeightsFile) -> str:
    known = [f"{kind} {digest}" for kind, digest in file.digests.items()]
    if file.sha256 is None and file.sha256_prefix is not None:
        known[0] += "... (first digits only)"
    return ", ".join(known) or "unknown"


def _from(file: WeightsFile) -> str:
    return file.source + (f"; {file.url}" if file.url else "")


def _fetch(names: list[str]) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from metrics.weights_fetch import fetch

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(" ".join(names), total=None)
        for name, path, new in fetch(names, lambda done, total: progress.update(task, completed=done, total=total)):
            said = "fetched" if new else "already there"
            print(f"{name}: {said}: {path}{_unchecked(CATALOGUE[name], path)}")
    return 0


def _unchecked(file: WeightsFile, path: Path) -> str:
    if file.digests:
        return ""
    return f" (no digest was published to check it with; its sha256 is {digests(path, ['sha256'])['sha256']})"


def _verify(names: list[str]) -> int:
    wrong = False
    for file in [entry(name) for name in names] or CATALOGUE.values():
        try:
            path = locate(file.name)
        except MissingWeights as missing:
            if names:
                print(f"missing  {file.name}: {missing}")
                wrong = True
            continue
        except BenchError as error:
            print(f"wrong    {file.name}: {error}")
            wrong = True
            continue
        found = problem(file, path, remembered=False)
        wrong = wrong or found is not None
        print(f"{'wrong' if found else 'ok':8} {file.name}: {path}{f': {found}' if found else _unchecked(file, path)}")
    if wrong:
        print("move wrong files away, then `reelbench weights fetch NAME`", file=sys.stderr)
    return int(wrong)
