"""A sweep's file: which cells it lists, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from datamodules.errors import BenchError
from experiments.sweep.cell import arguments, config_name, describe
from experiments.sweep.file import SweepFile, read_sweep


def sweep(folder: Path, **content: Any) -> SweepFile:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return read_sweep(str(path))


def test_grid_is_a_product_and_zip_advances_together(tmp_path: Path) -> None:
    found = sweep(
        tmp_path,
        base={"data": "shape_motion", "seed": 7},
        grid={"seed": [0, 1], "ema.decay": [0.0, 0.9]},
        zip=[{"method": ["vgan_cpu", "mocogan_cpu"], "trainer.max_steps": [10, 20]}],
    )
    cells = found.cells()
    assert len(cells) == 2 * 2 * 2
    assert {(c["method"], c["trainer.max_steps"]) for c in cells} == {("vgan_cpu", 10), ("mocogan_cpu", 20)}
    assert {c["seed"] for c in cells} == {0, 1}, "an axis wins over base"
    assert cells[0] == {
        "data": "shape_motion",
        "seed": 0,
        "ema.decay": 0.0,
        "method": "vgan_cpu",
        "trainer.max_steps": 10,
    }
    assert [c["method"] for c in cells[:2]] == ["vgan_cpu", "mocogan_cpu"], "the last axis is the fastest"
    assert (found.name, found.varied) == ("mine", ["seed", "ema.decay", "method", "trainer.max_steps"])


def test_exclusions_take_away_what_meets_all_of_their_keys(tmp_path: Path) -> None:
    grid = {"method": ["vgan_cpu", "mocogan_cpu"], "seed": [0, 1, 2]}
    exclude = [{"method": "vgan_cpu", "seed": [1, 2]}, {"method": "mocogan_cpu", "seed": 0}]
    cells = sweep(tmp_path, grid=grid, exclude=exclude).cells()
    assert [(c["method"], c["seed"]) for c in cells] == [("vgan_cpu", 0), ("mocogan_cpu", 1), ("mocogan_cpu", 2)]


def test_a_cell_is_the_arguments_of_fit() -> None:
    cell = {
        "model.init_args.betas": [0.5, 0.9],
        "seed": 3,
        "trainer": "cpu",
        "config": ["extra.yaml", "zoo/mocogan"],
        "data": "data/shape_motion",
        "method": "vgan_cpu",
        "compile": False,
        "wandb.entity": None,
    }
    assert arguments(cell) == [
        *("--config", "method/vgan_cpu", "--config", "data/shape_motion", "--config", "trainer/cpu"),
        *("--config", "extra.yaml", "--config", "zoo/mocogan", "--seed_everything=3"),
        *("--model.init_args.betas=[0.5, 0.9]", "--compile=false"),
    ]
    assert describe(cell, ["seed", "model.init_args.betas", "wandb.entity"]) == "seed=3 betas=[0.5, 0.9]"
    assert [config_name("data", name) for name in ("x", "data/x", "x.yaml")] == ["data/x", "data/x", "x.yaml"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"gird": {"seed": [0]}}, "no key 'gird' in a sweep, did you mean 'grid'?"),
        ({"base": {"methd": "vgan_cpu"}}, "base: no key 'methd', did you mean 'method'?"),
        ({"grid": {"modl.init_args.lr": [1]}}, "grid.modl.init_args.lr: no option begins with 'modl.', did you mean"),
        ({"grid": {"seed": 3}}, "grid.seed must list values, found 3"),
        ({"grid": {"seed": []}}, "grid.seed must list values, found []"),
        ({"grid": [1]}, "grid holds keys with values, found list"),
        ({"zip": [{"seed": [0, 1], "method": ["a"]}]}, "zip[0] needs lists of one length: seed has 2, method has 1"),
        ({"zip": {"seed": 0}}, "zip[0] needs lists of one length: seed has no list"),
        ({"grid": {"seed": [0]}, "zip": {"seed": [1]}}, "seed stands in two axes"),
        ({"grid": {"seed": [0]}, "exclude": [{"sed": 0}]}, "exclude[0]: no key 'sed', did you mean 'seed'?"),
        ({"grid": {"seed": [0]}, "exclude": [{"method": "a"}]}, "exclude[0]: no cell has 'method'"),
        ({"grid": {"seed": [0]}, "exclude": [{}]}, "exclude[0] is empty"),
        ({"grid": {"seed": [0]}, "exclude": [{"seed": 5}]}, "exclude[0] excludes nothing"),
        ({"grid": {"seed": [0]}, "exclude": [{"seed": 0}]}, "exclude leaves no cell"),
        ({"name": "empty"}, "there is nothing to run"),
    ],
)
def test_refused(content: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError) as refused:
        sweep(tmp_path, **content).cells()
    assert said in str(refused.value) and "mine.yaml" in str(refused.value)


def test_a_name_is_a_packaged_sweep() -> None:
    assert read_sweep("mocogan_1_cpu").path == read_sweep("sweep/mocogan_1_cpu").path
    with pytest.raises(BenchError, match="did you mean 'sweep/mocogan_1_cpu'"):
        read_sweep("mocogan_1_cpuu")


def test_a_file_that_is_a_list(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(BenchError, match="found list"):
        read_sweep(str(tmp_path / "list.yaml"))
