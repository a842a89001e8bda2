"""What fit, validate, test and sample do once the config is checked and the objects are built."""

from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only

from datamodules.base import ClipData
from datamodules.errors import BenchError
from datamodules.files import Lease, write_whole
from datamodules.jsonfile import now, read_json, write_json
from datamodules.pose.driving import PoseFiles
from experiments import wandb_log
from experiments.arguments import Expanded
from experiments.classes import load_class, short_name
from experiments.export import load_generator, read_metadata
from experiments.ranks import is_rank_zero
from experiments.record import HEADER, code_version, differences, environment
from experiments.results import asked_digest, write_results
from lightning_modules.callbacks.ema import sampling_weights, shadow_of
from lightning_modules.callbacks.evaluate import Evaluate
from lightning_modules.callbacks.preempt import preempt_of
from lightning_modules.callbacks.record import RunRecord
from lightning_modules.callbacks.sample_writer import write_samples
from lightning_modules.contract import Method
from lightning_modules.control import Wanted, write_grid
from lightning_modules.pose_clips import write_posed
from lightning_modules.swap import write_swap


class Commands:
    """Mixed into the CLI, which prefers a method of the command's name to the trainer's.

    Attributes:
        subcommand: fit, validate, test or sample.
        cfg: the parsed config of the subcommand; config_dump: the same, resolved, as plain values.
        folder, identity: of the run.
        preempted: a signal ended `fit` before its budget.
    """

    subcommand: Any
    cfg: Any
    config_dump: dict[str, Any]
    folder: Path
    identity: str
    expanded: Expanded
    model: Method
    datamodule: ClipData
    trainer: Any
    preempted = False

    @rank_zero_only
    def _write_config(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "config.yaml"
        if self.subcommand != "fit" and path.exists():
            return  # another protocol or folder moves no weights: the config that trained stays
        kept = {key: value for key, value in self.config_dump.items() if key not in ("runs", "weights")}
        write_whole(path, f"{HEADER}{self.identity[:12]}\n{yaml.safe_dump(kept, sort_keys=False)}")
        write_json(self.folder / "environment.json", environment())

    def _skipped(self) -> bool:
        return self.subcommand == "fit" and read_json(self.folder / "status.json").get("state") == "finished"

    def fit(self, **kwargs: Any) -> None:
        """Trains, resumes, or says that there is nothing left to do."""
        if self._skipped():
            was = yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8"))
            changed = [d for d in differences(was, self.config_dump) if not d.startswith(("runs", "name", "wandb"))]
            rank_zero_only(print)(
                f"{self.folder}: finished, skipped"
                + (f" (changed since, without bearing on the weights: {'; '.join(changed)})" if changed else "")
            )
            return
        lease = Lease(self.folder / "lease.json") if is_rank_zero() else None
        if lease is not None and not lease.acquire():
            raise BenchError(f"{self.folder}: already running, held by {lease.holder()}")
        try:
            self._write_config()
            if type(self.model).trains:
                self._train(**kwargs)
            else:
                self._nothing_to_train()
        finally:
            if lease is not None:
                lease.release()

    def _nothing_to_train(self) -> None:
        moment = now()
        write_json(
            self.folder / "status.json",
            {"state": "finished", "step": 0, "max_steps": 0, "host": None, "pid": None, "job": None}
            | {"started": moment, "heartbeat": moment, "reason": "nothing to train", "seconds": 0.0},
        )

    def _train(self, **kwargs: Any) -> None:
        if self.cfg.compile:
            self.model.generator.compile()
        last = self._last()
        if last is not None:
            self._check_checkpoint(last)
        self.trainer.fit(ckpt_path=last, weights_only=True, **kwargs)
        done = self.trainer.global_step >= self.trainer.max_steps
        if done and read_json(self.folder / "status.json").get("state") != "finished":
            # Killed after its last checkpoint: Lightning finds nothing to do and calls no hook.
            next(c for c in self.trainer.callbacks if isinstance(c, RunRecord)).write(self.trainer, "finished")
        stopper = preempt_of(self.trainer)
        self.preempted = stopper is not None and stopper.stop and not done
        rank_zero_only(print)(f"{self.folder}: {read_json(self.folder / 'status.json').get('state')}")

    def _last(self) -> Path | None:
        """last.ckpt, or what Lightning's own requeue left in the folder."""
        last = self.folder / "checkpoints" / "last.ckpt"
        stray = sorted(self.folder.glob("hpc_ckpt_*.ckpt"), key=lambda p: p.stat().st_mtime)
        found = [p for p in [last, *stray] if p.exists()]
        return max(found, key=lambda p: p.stat().st_mtime) if found else None

    def _check_checkpoint(self, path: Path) -> dict[str, Any]:
        """The checkpoint, if it is whole and of this method."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # torch raises whatever its zip reader or unpickler happens to raise
            raise BenchError(f"{path}: no readable checkpoint ({error}); move it away to start afresh") from error
        theirs, mine = set(state.get("state_dict", {})), set(self.model.state_dict())
        if theirs != mine:
            extra, absent = sorted(theirs - mine), sorted(mine - theirs)
            raise BenchError(
                f"{path} is a checkpoint of another method than {short_name(self.config_dump['model']['class_path'])}: "
                f"it has {len(extra)} other weights ({', '.join(extra[:2])}) and lacks {len(absent)} "
                f"({', '.join(absent[:2])})"
            )
        return state

    def validate(self, **kwargs: Any) -> None:
        """The quick protocol, on the validation split."""
        self._score("val")

    def test(self, **kwargs: Any) -> None:
        """A protocol on the test split, into results.json."""
        self._score("test")

    def _score(self, split: str) -> None:
        evaluate = next(c for c in self.trainer.callbacks if isinstance(c, Evaluate))
        once = _Once(evaluate, split, self.folder)
        self.trainer.callbacks.append(once)
        step = self._restore_and_test()
        if once.done is None:
            raise BenchError("asked to stop by a signal before the evaluation was complete; nothing was written")
        protocol, results, seconds = once.done
        if not self.trainer.is_global_zero:
            return
        measured = {
            "step": step,
            "max_steps": self.trainer.max_steps,
            "weights": self._weights_kind(),
            "seconds": round(seconds, 1),
            "code_version": code_version()[0],
            "asked": [asked_digest(self.config_dump["evaluate"])],
        }
        summary = write_results(self.folder, self._about(), protocol, results, evaluate.metrics, measured)
        for logger in self.trainer.loggers:
            if isinstance(logger, wandb_log.WandbLogger):
                wandb_log.log_summary(logger, summary)
        for name, result in results.items():
            value = "none" if result.value is None else f"{result.value:.5g}"
            print(f"{protocol.key(name, result.fingerprint)} = {value}" + (f"  ({result.note})" if result.note else ""))

    def _restore_and_test(self) -> int:
        """Lightning's `test` on the chosen weights, for its hooks; returns the step the weights were taken at."""
        exported = self.expanded.weights
        path = None if exported or not type(self.model).trains else self._chosen_checkpoint()
        step = 0
        if exported:
            step = int(load_generator(self.model, exported)["step"])
        elif path:
            step = int(self._check_checkpoint(path)["global_step"])
        self._write_config()
        self.trainer.test(self.model, datamodule=self.datamodule, ckpt_path=path, verbose=False, weights_only=True)
        return step

    def _chosen_checkpoint(self) -> Path:
        named = {"last": self._last(), "best": self.folder / "checkpoints" / "best.ckpt"}
        path = named.get(self.cfg.weights, Path(self.cfg.weights))
        if path is None or not path.is_file():
            raise BenchError(
                f"weights: {path or self.folder / 'checkpoints/last.ckpt'} does not exist; "
                "train the run first with `reelbench fit` and the same config, or name an exported .safetensors file"
            )
        return path

    def _weights_kind(self) -> str:
        if not type(self.model).trains:
            return "none"
        if self.expanded.weights is not None:
            return str(read_metadata(self.expanded.weights)["weights"])
        return "raw" if shadow_of(self.trainer) is None else "ema"

    def _about(self) -> dict[str, Any]:
        dump, trained = self.config_dump, read_json(self.folder / "environment.json")
        return {
            "name": self.cfg.name,
            "identity": self.identity,
            "method": short_name(dump["model"]["class_path"]),
            "class_path": dump["model"]["class_path"],
            "data": self.datamodule.name,
            "seed": dump["seed_everything"],
            "code_version": trained.get("code_version", "unknown"),
            "scale": self.cfg.scale,
            "tags": list(self.cfg.wandb.tags),
            "reference": not type(self.model).trains,
        }

    def sample(
        self,
        n: int,
        out: str | None,
        seed: int,
        lossless: bool,
        frames: int | None = None,
        swap: bool = False,
        attribute: str | None = None,
        grid: str | None = None,
        source: str | None = None,
        poses: str | None = None,
        source_pose: str | None = None,
        pose_size: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes clips, real ones beside them; or the swap test, a grid over attributes, or a person in given poses."""
        if frames is not None and frames < 1:
            raise BenchError(f"--frames must be at least 1, found {frames}")
        if swap and (attribute or grid):
            raise BenchError(f"--swap true goes without --{'grid' if grid else 'attribute'}")
        if (source is None) != (poses is None):
            raise BenchError("--source and --poses go together: a picture of a person, and the poses to draw them in")
        if source is not None and (swap or attribute or grid):
            other = "swap" if swap else "grid" if grid else "attribute"
            raise BenchError(f"--source goes without --{other}: it draws one person in the poses of --poses")
        wanted = Wanted.parse(attribute or "")
        kind = "swap" if swap else "-".join(["grid", *grid.split(",")]) if grid else "-".join(["seed", *wanted.words])
        folder = Path(out) if out else self.folder / "samples" / f"{'posed' if source else kind}-{seed}"
        if source is not None and poses is not None:
            about = self.config_dump["model"]
            needs = load_class(about["class_path"]).needs(**about["init_args"])  # type: ignore[attr-defined]
            files = PoseFiles(Path(source), Path(poses), Path(source_pose) if source_pose else None, pose_size)
            posed = _PosedSampler(folder, needs, files, seed, lossless, frames)
            self.trainer.callbacks.append(posed)
            self._restore_and_test()
            rank_zero_only(print)("\n".join([*posed.notes, f"a clip in {folder}"]))
            return
        sampler = _Sampler(folder, n, seed, lossless, frames, swap, wanted, grid)
        self.trainer.callbacks.append(sampler)
        self._restore_and_test()
        if sampler.told is None:
            rank_zero_only(print)(f"{f'grid of {grid}' if grid else f'{n} clips'} in {folder}")
        else:
            rank_zero_only(print)(_decided(sampler.told, folder))


def _decided(told: dict[str, Any], folder: Path) -> str:
    lines = [f"{told['n']} contents with {told['n']} motions in {folder}"]
    for feature in ("colour", "path"):
        found = ", ".join(f"{share:.0%} {factor}" for factor, share in told[feature].items()) or "never changes"
        lines.append(f"what decides the {feature}: {found}")
    return "\n".join(lines)


class _Once(Callback):
    """Runs the evaluation where a restored model and all ranks are there: in Lightning's test hook."""

    def __init__(self, evaluate: Evaluate, split: str, folder: Path) -> None:
        self.evaluate, self.split, self.folder = evaluate, split, folder
        self.done: Any = None

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        self.done = self.evaluate.run(trainer, pl_module, self.split, strips=self.folder)


class _PosedSampler(Callback):
    """Draws a person from files at the same place."""

    def __init__(
        self, folder: Path, needs: frozenset[str], files: PoseFiles, seed: int, lossless: bool, frames: int | None
    ) -> None:
        self.folder, self.needs, self.files = folder, needs, files
        self.seed, self.lossless, self.frames = seed, lossless, frames
        self.notes: list[str] = []

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.is_global_zero:
            return
        with sampling_weights(trainer, pl_module):
            self.notes = write_posed(
                pl_module,
                self.needs,
                self.files,
                self.folder,
                frames=self.frames,
                seed=self.seed,
                lossless=self.lossless,
            )


class _Sampler(Callback):
    """Writes samples at the same place."""

    def __init__(
        self,
        folder: Path,
        n: int,
        seed: int,
        lossless: bool,
        frames: int | None,
        swap: bool,
        wanted: Wanted,
        grid: str | None,
    ) -> None:
        self.folder, self.n, self.seed, self.lossless = folder, n, seed, lossless
        self.frames, self.swap, self.wanted, self.grid = frames, swap, wanted, grid
        self.told: dict[str, Any] | None = None

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        with sampling_weights(trainer, pl_module), pl_module.at_length(self.frames):
            self.wanted.check(pl_module)
            if self.swap:
                pl_module.prepare(trainer.datamodule)
                if trainer.is_global_zero:
                    self.told = write_swap(pl_module, self.folder, n=self.n, seed=self.seed)
            elif self.grid:
                pl_module.prepare(trainer.datamodule)
                if trainer.is_global_zero:
                    over = self.grid.split(",")
                    data, wanted = trainer.datamodule, self.wanted
                    write_grid(pl_module, data, self.folder, over=over, n=self.n, wanted=wanted, seed=self.seed)
            else:
                write_samples(
                    trainer,
                    pl_module,
                    self.folder,
                    n=self.n,
                    seed=self.seed,
                    lossless=self.lossless,
                    wanted=self.wanted,
                )
