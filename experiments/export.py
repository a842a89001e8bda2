"""A run as one small file: the generator's weights and the config they belong to, in safetensors."""

import argparse
import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.files import write_whole
from datamodules.jsonfile import read_json
from experiments.classes import load_class
from experiments.record import DATA_SKIP, TRAINER_KEYS, identity
from lightning_modules.contract import Method

FORMAT = 1
KEY = "reelbench"  # one entry, since safetensors writes several in no fixed order
PREFIX = "generator."
WEIGHTS = ("auto", "raw", "ema")
DTYPES = {"float32": torch.float32, "float16": torch.float16}

State = dict[str, Tensor]


def main(argv: list[str]) -> int:
    """`reelbench export`."""
    parser = argparse.ArgumentParser(prog="reelbench export", description=__doc__)
    parser.add_argument("source", type=Path, metavar="RUN_OR_CKPT", help="run folder (its last.ckpt), or a checkpoint")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the .safetensors file to write")
    parser.add_argument("--weights", choices=WEIGHTS, default="auto", help="auto: the average where there is one")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="float16 halves the file")
    args = parser.parse_args(argv)
    metadata = export(args.source, args.out, weights=args.weights, dtype=args.dtype)
    size = args.out.stat().st_size / 1e6
    print(f"{args.out}: {metadata['weights']} weights of step {metadata['step']}, {metadata['dtype']}, {size:.2f} MB")
    if metadata["kept_float32"]:
        print(f"float16 cannot hold {', '.join(metadata['kept_float32'])}: kept as float32")
    return 0


def export(source: Path, out: Path, weights: str = "auto", dtype: str = "float32") -> dict[str, Any]:
    """Writes the generator of a run.

    Args:
        source: run folder, or one of its checkpoints.
        out: file to write, ending in .safetensors.
        weights: `raw`, `ema`, or `auto`: the average where the checkpoint has one.
        dtype: `float32`, or `float16`, where tensors it cannot hold stay float32.

    Returns:
        The metadata written; see `read_metadata`.

    Raises:
        BenchError: no or a damaged checkpoint, one that does not fit its config, weights that are not finite, or a
            disk that refuses.
    """
    if out.suffix != ".safetensors":
        raise BenchError(f"--out must end in .safetensors, found {out}")
    path, run = find_run(source)
    config = run_config(run / "config.yaml")
    checkpoint = read_checkpoint(path)
    state, kind = _generator_state(checkpoint, weights, path)
    with torch.device("meta"):
        wanted = build_method(config["model"], run / "config.yaml")
    _check(state, getattr(wanted, "generator", None), f"{path} does not fit {run / 'config.yaml'}")
    results, environment = read_json(run / "results.json"), read_json(run / "environment.json")
    about = {
        "step": int(checkpoint["global_step"]),
        "weights": kind,
        "code_version": environment.get("code_version", "unknown"),
        "data": results.get("data") or getattr(load_class(config["data"]["class_path"]), "name", "unknown"),
    }
    if checkpoint.get("category_names"):
        about["category_names"] = list(checkpoint["category_names"])
    return write_generator(out, state, config, about, dtype, path)


def write_generator(
    out: Path, state: State, config: dict[str, Any], about: Mapping[str, Any], dtype: str, source: Path
) -> dict[str, Any]:
    """Writes weights that fit `config`, whole or not at all.

    Args:
        out: file to write.
        state: of `generator`.
        config: see `decisive_config`.
        about: step, weights, code_version, data; what else is there travels with it.
        dtype: as for `export`.
        source: named in errors.

    Returns:
        The metadata written.

    Raises:
        BenchError: weights that are not finite, or a disk that refuses.
    """
    packed, kept = _pack(state, DTYPES[dtype], source)
    metadata = {
        "format": FORMAT,
        "class_path": config["model"]["class_path"],
        "init_args": config["model"].get("init_args") or {},
        "config": yaml.safe_dump(config, sort_keys=False),
        "identity": identity(config),
        "dtype": dtype,
        "kept_float32": kept,
        "digest": _digest(packed),
        **about,
    }
    write_whole(out, save(packed, metadata={KEY: json.dumps(metadata, sort_keys=True)}))
    return metadata


def read_metadata(path: Path) -> dict[str, Any]:
    """What an exported file says of itself, without reading its weights.

    Returns:
        `class_path`, `init_args`, `config` (YAML that `reelbench fit --config` takes), `identity` (64 hex digits),
        `step`, `weights` (raw or ema), `dtype`, `kept_float32`, `code_version`, `data`, `digest`, `format`; of methods
        that learnt labels `category_names`.

    Raises:
        BenchError: no such file, not an export, or one of a newer format.
    """
    return _open(path, tensors=False)[0]


def load_export(path: Path) -> tuple[Method, dict[str, Any]]:
    """The method of an exported file in float32 on the CPU, in eval mode, with its metadata.

    Raises:
        BenchError: no such file, a damaged one, or one that the installed method does not fit.
    """
    metadata, _ = _open(path, tensors=False)
    method = build_method(metadata, path)
    return method.eval(), load_generator(method, path)


def load_generator(module: Method, path: Path) -> dict[str, Any]:
    """Loads exported weights into `module.generator` and returns the file's metadata.

    Raises:
        BenchError: as `load_export`, or the file belongs to another method or to other arguments.
    """
    metadata, state = _open(path, tensors=True)
    mine = f"{type(module).__module__}.{type(module).__qualname__}"
    if metadata["class_path"] != mine:
        raise BenchError(f"{path} holds weights of {metadata['class_path']}, expected {mine}")
    _check(state, module.generator, f"{path} does not fit the model; it was exported from {metadata['init_args']}")
    module.generator.load_state_dict(state)
    if "category_names" in metadata:
        module.on_load_checkpoint({"category_names": metadata["category_names"]})
    return metadata


def find_run(source: Path) -> tuple[Path, Path]:
    """Checkpoint and run folder."""
    path = source / "checkpoints" / "last.ckpt" if source.is_dir() else source
    run = source if source.is_dir() else source.parent.parent
    if not path.is_file():
        raise BenchError(f"{path} does not exist; name a run folder with a checkpoint, or a .ckpt file in one")
    if not (run / "config.yaml").is_file():
        raise BenchError(f"{run / 'config.yaml'} is missing: a checkpoint is exported from its run's folder")
    return path, run


def run_config(path: Path) -> dict[str, Any]:
    """See `decisive_config`.

    Raises:
        BenchError: no config of a run.
    """
    try:
        return decisive_config(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"{path} is not the config of a run ({type(error).__name__}: {error})") from error


def decisive_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a run's config that decides the weights, without folders of the machine it ran on."""
    data = {k: v for k, v in (config["data"].get("init_args") or {}).items() if k not in DATA_SKIP}
    return {
        "seed_everything": config["seed_everything"],
        "model": config["model"],
        "data": {"class_path": config["data"]["class_path"], "init_args": data},
        "ema": config.get("ema"),
        "trainer": {k: config["trainer"].get(k) for k in TRAINER_KEYS},
    }


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A run's checkpoint on the CPU.

    Raises:
        BenchError: damaged, or something else.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BenchError(f"{path} is damaged or no checkpoint ({first})") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "global_step"} <= set(checkpoint):
        raise BenchError(f"{path} is not a checkpoint of a run: it holds no state_dict and global_step")
    return checkpoint


def _generator_state(checkpoint: Mapping[str, Any], weights: str, path: Path) -> tuple[State, str]:
    averaged = checkpoint.get("callbacks", {}).get("GeneratorEMA", {}).get("shadow")
    if weights == "ema" and averaged is None:
        raise BenchError(f"--weights ema: {path} holds no averaged weights; the run was trained with ema.decay 0")
    if weights != "raw" and averaged is not None:
        return dict(averaged), "ema"
    state = checkpoint["state_dict"]
    return {k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)}, "raw"


def _pack(state: State, dtype: torch.dtype, path: Path) -> tuple[State, list[str]]:
    """Tensors as they are written, and the names of those that `dtype` cannot hold."""
    packed: State = {}
    kept = []
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            packed[name] = tensor.contiguous().clone()
            continue
        if not torch.isfinite(tensor).all():
            raise BenchError(f"{path}: {PREFIX}{name} holds NaN or infinity; the run went astray, nothing was exported")
        small = tensor.to(dtype)
        if dtype == torch.float16 and not _holds(tensor, small):
            kept.append(name)
            small = tensor.float()
        packed[name] = small.contiguous().clone()  # safetensors refuses tensors that share memory
    return packed, kept


def _holds(tensor: Tensor, small: Tensor) -> bool:
    """Whether float16 neither overflows nor drops the whole tensor below its normal range, as small variances do."""
    largest = tensor.abs().max() if tensor.numel() else torch.zeros(())
    tiny = torch.finfo(torch.float16).tiny
    return bool(torch.isfinite(small).all()) and not 0 < float(largest) < tiny


def _digest(state: State) -> str:
    """SHA-256 over names, types, shapes and bytes: safetensors itself does not notice a flipped bit."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _open(path: Path, *, tensors: bool) -> tuple[dict[str, Any], State]:
    if not path.is_file():
        raise BenchError(f"{path} does not exist; `reelbench export RUN -o FILE.safetensors` writes one")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
            metadata = None if text is None else json.loads(text)
            state = {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise BenchError(f"{path} is damaged or no safetensors file ({error})") from error
    if not isinstance(metadata, dict) or "format" not in metadata:
        raise BenchError(f"{path} was not written by `reelbench export`: it says nothing of the method and its config")
    if metadata["format"] != FORMAT:
        raise BenchError(f"{path} has format {metadata['format']}; this version of the bench reads format {FORMAT}")
    if tensors and _digest(state) != metadata["digest"]:
        raise BenchError(f"{path} is damaged: its weights are not those that were written; copy or export it again")
    return metadata, state


def build_method(model: Mapping[str, Any], where: Path) -> Method:
    """The method of `class_path` with `init_args`, checked against its signature as in a config.

    Args:
        where: named in errors.

    Raises:
        BenchError: no such class, not a method, or arguments that it does not take.
    """
    cls = load_class(model["class_path"])
    if not issubclass(cls, Method):
        raise BenchError(f"{where}: {model['class_path']} is not a method (lightning_modules.contract.Method)")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "model")
    try:
        built = parser.instantiate(parser.parse_object({"model": dict(model.get("init_args") or {})})).model
    except ArgumentError as error:
        raise BenchError(f"{where}: {model['class_path']} cannot be built: {error}") from error
    assert isinstance(built, Method)
    return built


def _check(state: State, generator: torch.nn.Module | None, what: str) -> None:
    """Same names, same shapes."""
    wanted = generator.state_dict() if generator is not None else {}
    if not wanted:
        raise BenchError(f"{what}: the method has no generator weights")
    wrong = [f"{k} is missing" for k in wanted if k not in state]
    wrong += [f"{k} is unknown" for k in state if k not in wanted]
    wrong += [
        f"{k} is {tuple(state[k].shape)}, expected {tuple(wanted[k].shape)}"
        for k in wanted
        if k in state and state[k].shape != wanted[k].shape
    ]
    if wrong:
        raise BenchError(f"{what}: {'; '.join(wrong[:4])}" + (f"; {len(wrong) - 4} more" if len(wrong) > 4 else ""))
