"""What every method promises, over all `_cpu` configs: a new method is tested by its config being there."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch

from datamodules.batch import to_float
from datamodules.errors import BenchError
from experiments.classes import load_class
from experiments.export import export, load_export
from lightning_modules.callbacks.ema import eval_mode
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.tgan.module import TGAN
from tests.helpers.built import CPU_CONFIGS, build_only

SEED = 5


def clips(cli: Any, index: list[int], seed: int = SEED, kind: torch.dtype = torch.float32) -> torch.Tensor:
    """What `sample` makes of evaluation clips `index`, with networks and batch of that kind."""
    data, method = cli.datamodule, cli.model
    batch = to_float(data.eval_batch("val", index, data.frames, data.stride, seed))
    batch = {k: v.to(kind) if torch.is_tensor(v) and v.is_floating_point() else v for k, v in batch.items()}
    method.to(kind)
    try:
        with eval_mode(method), torch.no_grad():
            return method.sample(batch, ClipNoise(seed, batch["index"]))
    finally:
        method.float()


@pytest.fixture(scope="module", params=CPU_CONFIGS)
def cli(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build_only(request.param, tmp_path_factory.mktemp("built"))


def test_there_are_methods() -> None:
    assert "mocogan_cpu" in CPU_CONFIGS


def test_needs_what_its_data_gives(cli: Any) -> None:
    model, data = cli.config_dump["model"], cli.config_dump["data"]
    needs = load_class(model["class_path"]).needs(**model["init_args"])  # type: ignore[attr-defined]
    gives = load_class(data["class_path"]).gives(**data["init_args"])  # type: ignore[attr-defined]
    assert needs <= gives
    given = set(cli.datamodule.eval_batch("val", [0, 1], cli.datamodule.frames, cli.datamodule.stride, 0))
    assert gives | {"index", "name"} == given


def test_sample_shape_range_and_type(cli: Any) -> None:
    drawn, data = clips(cli, [0, 1, 2]), cli.datamodule
    assert drawn.shape == (3, data.channels, data.frames, data.height, data.width)
    assert drawn.dtype == torch.float32 and not drawn.requires_grad
    assert drawn.isfinite().all() and drawn.min() >= -1 and drawn.max() <= 1


def test_another_length_is_made_or_refused(cli: Any) -> None:
    """As `sample --frames` asks for: never silently the usual length."""
    data, method = cli.datamodule, cli.model
    frames = data.frames - 1
    try:
        with eval_mode(method), torch.no_grad(), method.at_length(frames):
            batch = to_float(data.eval_batch("val", [0, 1], method.length_shown(data), data.stride, SEED))
            drawn = method.sample(batch, ClipNoise(SEED, batch["index"]))
    except BenchError as error:
        refused = not method.any_length or isinstance(method, TGAN)  # which makes some lengths
        assert refused and str(frames) in str(error)
    else:
        assert method.any_length and drawn.shape[2] == frames


def test_a_clip_does_not_depend_on_its_batch(cli: Any) -> None:
    eight, alone = clips(cli, list(range(8))), clips(cli, [3])
    rounding, other = (eight[3] - alone[0]).abs().max(), (eight[3] - eight[4]).abs().max()
    if rounding >= 1e-4:
        # Where a frame is made from the one before, a network as it was drawn multiplies rounding by 4 a frame.
        eight, alone = (clips(cli, index, kind=torch.float64) for index in (list(range(8)), [3]))
        rounding = (eight[3] - alone[0]).abs().max()
    # float32 rounding only: the batch's shape changes the order in which products are summed
    assert rounding < 1e-4
    # relative, since an untrained generator may give nearly grey clips
    assert other > 0 and rounding < 0.01 * other, "clips share their noise"


def test_other_seeds_give_other_clips(cli: Any) -> None:
    once, again, other = clips(cli, [0]), clips(cli, [0]), clips(cli, [0], seed=SEED + 1)
    assert torch.equal(once, again) and not torch.allclose(once, other, rtol=0.01, atol=0)


def test_global_generators_stay_untouched(cli: Any) -> None:
    before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"], random.getstate()
    clips(cli, [0, 1])
    after = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"], random.getstate()
    assert torch.equal(before[0], after[0]) and np.array_equal(before[1], after[1]) and before[2] == after[2]


class Gradients(L.Callback):
    """Which parameters had a gradient when their optimizer stepped."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        for group in optimizer.param_groups:
            self.seen |= {id(p) for p in group["params"] if p.grad is not None and p.grad.abs().sum() > 0}


@pytest.fixture(scope="module")
def trained(cli: Any) -> Iterator[tuple[Any, Gradients]]:
    gradients = Gradients()
    cli.trainer.callbacks.append(gradients)
    cli.trainer.fit_loop.epoch_loop.max_steps = 2
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    cli._write_config()
    yield cli, gradients


def test_every_trained_parameter_gets_a_gradient(trained: tuple[Any, Gradients]) -> None:
    cli, gradients = trained
    assert cli.trainer.global_step == 2
    missing = [name for name, p in cli.model.named_parameters() if p.requires_grad and id(p) not in gradients.seen]
    idle = cli.model.idle(0) & cli.model.idle(1)
    assert [name for name in missing if not any(name.startswith(f"{part}.") for part in idle)] == []


def test_losses_are_finite(trained: tuple[Any, Gradients]) -> None:
    losses = {k: v for k, v in trained[0].trainer.callback_metrics.items() if k.startswith("train/")}
    assert losses and all(torch.isfinite(v) for v in losses.values()), losses


def test_checkpoint_and_export_give_the_same_clips(trained: tuple[Any, Gradients], tmp_path: Path) -> None:
    cli, _ = trained
    cli.model.prepare(cli.datamodule)
    expected = clips(cli, [0, 1])
    state = torch.load(cli.folder / "checkpoints" / "last.ckpt", weights_only=True)
    model = cli.config_dump["model"]
    fresh: Method = load_class(model["class_path"])(**model["init_args"])
    fresh.load_state_dict(state["state_dict"])
    export(cli.folder, tmp_path / "out.safetensors")
    exported, _ = load_export(tmp_path / "out.safetensors")
    for other in (fresh, exported):
        cli.model, mine = other, cli.model
        other.prepare(cli.datamodule)
        assert torch.equal(clips(cli, [0, 1]), expected)
        cli.model = mine


@pytest.mark.slow
def test_generator_compiles(cli: Any, tmp_path: Path) -> None:
    """The compiled generator computes the same; eager backend: what is tested is that the graph can be taken."""
    compiled = build_only(cli.cfg.name, tmp_path)  # a packaged config bears its file's name
    compiled.model.load_state_dict(cli.model.state_dict())
    expected = clips(compiled, [0, 1])
    compiled.model.generator.compile(backend="aot_eager")
    found = clips(compiled, [0, 1])
    if (found - expected).abs().max() > 1e-5:  # rounding that goes on from frame to frame, see above
        expected, found = (clips(one, [0, 1], kind=torch.float64) for one in (cli, compiled))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
