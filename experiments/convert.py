"""Official weights as an export that `sample`, `test` and `validate` take. Nothing in their files is run."""

import argparse
import ast
import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning_modules
from datamodules.errors import BenchError

if TYPE_CHECKING:  # --help is quick without torch
    from lightning_modules.formats.content import WeightFile
    from lightning_modules.formats.conversion import Conversion

METHODS = Path(lightning_modules.__file__).parent
DATA = "data/shape_motion"  # the embedded set: sampling asks for some data, official files do not name theirs
# A converter whose method needs more of its data names an embedded set of its own, as DATA.


def main(argv: list[str]) -> int:
    """`reelbench convert METHOD FILE... -o OUT`.

    Raises:
        BenchError: a file that is refused, or that does not fit the method.
    """
    parser = argparse.ArgumentParser(
        prog="reelbench convert",
        description=__doc__,
        epilog="methods and the files they take:\n" + "\n".join(f"  {n:10} {_takes(n)}" for n in methods()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("method", metavar="METHOD", help="one of those below")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="as the official code wrote it")
    parser.add_argument("-o", "--out", type=Path, metavar="OUT", help="the .safetensors file to write")
    parser.add_argument("--print", action="store_true", help="list the tensors in the files and write nothing")
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")
    parser.add_argument(
        "--data", metavar="CONFIG", help=f"the data beside its samples (default: {DATA}, or what the method needs)"
    )
    args = parser.parse_args(argv)
    if args.method not in methods():
        near = difflib.get_close_matches(args.method, methods(), 1)
        meant = f", did you mean '{near[0]}'?" if near else f"; there are {', '.join(methods())}"
        raise BenchError(f"METHOD '{args.method}' has no converter{meant}")
    if args.print:
        return _print(args.method, args.files)
    _check_out(args.out, args.force)
    convert(args.method, args.files, args.out, args.data)
    return 0


def methods() -> list[str]:
    """Methods that have a converter."""
    return sorted(path.parent.name for path in METHODS.glob("*/convert.py"))


def _takes(method: str) -> str:
    """The first line of a converter's docstring, without importing it."""
    tree = ast.parse((METHODS / method / "convert.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def _check_out(out: Path | None, force: bool) -> None:
    if out is None:
        raise BenchError("-o OUT is missing: name the .safetensors file to write, or list the entries with --print")
    if out.suffix != ".safetensors":
        raise BenchError(f"-o must end in .safetensors, found {out}")
    if out.exists() and not force:
        raise BenchError(f"-o {out} exists; --force replaces it")


def _print(method: str, paths: list[Path]) -> int:
    from lightning_modules.formats.content import tensors

    for file in _read(method, paths)[1]:
        found = tensors(file.content)
        print(f"{file.path}: {file.format}, {len(found)} tensors")
        for name, tensor in found.items():
            print(f"  {name}  {str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}")
    return 0


def _read(method: str, paths: list[Path]) -> tuple[Any, list["WeightFile"]]:
    import importlib

    from lightning_modules.formats.reading import read

    converter = importlib.import_module(f"lightning_modules.{method}.convert")
    return converter, [read(path, converter.CLASSES) for path in paths]


def convert(method: str, paths: list[Path], out: Path, data: str | None = None) -> dict[str, Any]:
    """Writes the generator of official files as an export.

    Args:
        method: a folder of lightning_modules with a `convert.py`.
        paths: the official files.
        out: file to write, ending in .safetensors.
        data: packaged config, or a file of one, of the data that samples are written beside; None: an embedded set.

    Returns:
        The metadata written, see `export.read_metadata`; also `official`, the files with their digests.

    Raises:
        BenchError: a file that is refused or damaged, entries that do not fit, or no generator among the files.
    """
    import torch

    from experiments.export import build_method, write_generator

    converter, files = _read(method, paths)
    data = data or str(getattr(converter, "DATA", DATA))
    conversion: Conversion = converter.convert(files)
    if "generator" not in conversion.states:
        held = ", ".join(conversion.states) or "nothing"
        raise BenchError(f"{paths[0]} holds {held}: sampling needs the generator; name its file too")
    with torch.device("meta"):
        model = build_method({"class_path": conversion.class_path, "init_args": conversion.init_args}, paths[0])
    remarks = conversion.fit(model)
    official = {path.name: _digest(path) for path in paths}
    step = max((step for step in map(_step, files) if step is not None), default=0)
    config = _config(conversion, data, model, step, official)
    about = {"step": step, "weights": "raw", "code_version": "official", "data": _name(config), "official": official}
    metadata = write_generator(out, conversion.states["generator"], config, about, "float32", paths[0])
    _tell(conversion, remarks, metadata, out, data)
    return metadata


def _step(file: "WeightFile") -> int | None:
    from lightning_modules.formats.conversion import step_of

    return step_of(file)


def _digest(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _config(conversion: "Conversion", data: str, model: Any, step: int, official: dict[str, str]) -> dict[str, Any]:
    """The resolved config that `sample` finds in the export.

    A run is known by the hash of its config. The weights of an official file follow from the file, so its digest
    stands for the seed: neither two files nor a file and a run of our own ever share a folder.
    """
    import hashlib
    import json
    import tempfile

    import yaml

    from experiments.arguments import config_path
    from experiments.classes import accepted_names
    from experiments.export import decisive_config
    from experiments.run import resolved

    class_path = yaml.safe_load(config_path(data).read_text(encoding="utf-8"))["data"]["class_path"]
    known = {key: getattr(model, key) for key in ("size", "frames", "channels") if hasattr(model, key)}
    fitting = {key: value for key, value in known.items() if key in accepted_names(class_path)}
    recipe = {
        "seed_everything": int(hashlib.sha256("".join(sorted(official.values())).encode()).hexdigest()[:7], 16),
        "model": {"class_path": conversion.class_path, "init_args": conversion.init_args},
        "trainer": {"max_steps": max(step, 1)},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(recipe, file)
        file.flush()
        words = ["--config", data, "--config", file.name]
        words += [f"--data.init_args.{key}={json.dumps(value)}" for key, value in fitting.items()]
        return decisive_config(resolved(words))


def _name(config: dict[str, Any]) -> str:
    from experiments.classes import load_class

    return getattr(load_class(config["data"]["class_path"]), "name", "unknown")


def _tell(conversion: "Conversion", remarks: list[str], metadata: dict[str, Any], out: Path, data: str) -> None:
    for attribute, file in conversion.files.items():
        count = sum(tensor.numel() for tensor in conversion.states[attribute].values())
        kept = "" if attribute == "generator" else "; fits, and is not kept: an export holds the generator alone"
        print(f"{file.path}: {file.format}, {attribute} of {count:,} numbers{kept}")
    print("inferred: " + ", ".join(f"{key} {value}" for key, value in conversion.init_args.items()))
    for name, why in conversion.left_out.items():
        print(f"left out: {name} ({why})")
    for remark in remarks:
        print(remark)
    print(f"data: {data}; the files do not say what they were trained on, --data names other data")
    print(f"{out}: step {metadata['step']}; `reelbench sample {out}` writes clips")
