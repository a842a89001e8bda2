"""`reelbench zoo`: the small checkpoints that come with the bench, each rebuilt by one command."""

import argparse
import shutil
from pathlib import Path

from datamodules.errors import BenchError
from datamodules.jsonfile import read_json, write_json
from experiments.arguments import CONFIGS
from experiments.export import export

ZOO = Path(__file__).parent
CLIPS = 6
PROTOCOL = ["--config", "protocol/shapes256"]
SMALL = ["--evaluate.protocol.label", "shapes64"]
SMALL += [f"--evaluate.protocol.n_{kind}=64" for kind in ("real", "fake")]
OFF = ["--wandb.enabled", "false"]
# What of a record says where a number comes from, and not whose machine it was.
STATUS = ("state", "step", "max_steps", "started", "seconds", "reason")
ENVIRONMENT = ("code_version", "dirty", "python", "cpus", "packages", "time")


def recipes() -> list[str]:
    """Names of the packaged `zoo/*` configs."""
    return sorted(path.stem for path in (CONFIGS / "zoo").glob("*.yaml"))


def entries() -> list[Path]:
    """Folders of the entries that are there."""
    return sorted(path.parent for path in ZOO.glob("*/weights.safetensors"))


def main(argv: list[str]) -> int:
    """`reelbench zoo [NAME] [--runs DIR] [--out DIR]`."""
    parser = argparse.ArgumentParser("reelbench zoo", description=__doc__)
    parser.add_argument("name", nargs="?", help="entry to rebuild; without it the entries are listed")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the run is trained (resumes)")
    parser.add_argument("--out", type=Path, default=ZOO, help="folder of entries to write into")
    args = parser.parse_args(argv)
    if args.name is None:
        for folder in entries():
            print(line(folder))
        return 0
    if args.name not in recipes():
        raise BenchError(f"no zoo entry '{args.name}'; there are {', '.join(recipes())}")
    return rebuild(args.name, args.runs, args.out / args.name)


def line(folder: Path) -> str:
    """An entry in one line: steps, training time, size and scores."""
    status, results = read_json(folder / "status.json"), read_json(folder / "results.json")
    size = (folder / "weights.safetensors").stat().st_size / 1e6
    best = max(results["results"].values(), key=lambda entry: entry["protocol"]["n_fake"])
    scores = "  ".join(f"{name} {value['value']:.4g}" for name, value in best["values"].items())
    minutes = status["seconds"] / 60
    return f"{folder.name}: {status['step']} steps in {minutes:.0f} min, {size:.2f} MB; {scores}"


def rebuild(name: str, runs: Path, out: Path) -> int:
    """Trains (or resumes), scores, samples, exports, and gathers the entry. Returns the exit code of `fit`."""
    from experiments.run import main, run_folder

    recipe = ["--config", f"zoo/{name}", "--runs", str(runs), *OFF]
    if code := main("fit", recipe):
        return code
    run = run_folder(recipe)
    main("sample", [*recipe, "--n", str(CLIPS), "--out", str(run / "samples" / "zoo")])
    export(run, run / "weights.safetensors", dtype="float16")
    # The stored scores are those of the stored weights: float16 moves them a little.
    for protocol in (PROTOCOL, [*PROTOCOL, *SMALL]):
        main("test", [*scored(run / "weights.safetensors", name), *protocol, "--runs", str(runs)])
    gather(run, out, name)
    print(line(out))
    return 0


def scored(weights: Path, name: str) -> list[str]:
    """Arguments that score an entry under its name: an export tells its config, not what it is called."""
    return [str(weights), "--name", f"zoo_{name}", "--scale", "cpu", *OFF]


def gather(run: Path, out: Path, name: str) -> None:
    """Copies what an entry holds out of a run folder."""
    for part in ("samples", "weights.safetensors", "config.yaml", "metrics.csv", "results.json"):
        if not (run / part).exists():
            raise BenchError(f"{run}: {part} is missing, so no zoo entry can be made of it")
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    for part in ("weights.safetensors", "config.yaml", "metrics.csv", "results.json"):
        shutil.copy(run / part, out / part)
    shutil.copytree(run / "samples" / "zoo", out / "samples" / f"step-{read_json(run / 'status.json')['step']:08d}")
    for part, keys in (("status.json", STATUS), ("environment.json", ENVIRONMENT)):
        record = read_json(run / part)
        write_json(out / part, {key: record[key] for key in keys if key in record})
    write_json(out / "entry.json", {"name": name, "command": f"reelbench zoo {name}"})
