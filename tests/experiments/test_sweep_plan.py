"""A sweep's runs as the parser of `fit` sees them: identity, folder, commands; nothing is made."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from datamodules.errors import BenchError
from experiments.arguments import CONFIGS
from experiments.cli import main
from experiments.run import run_folder
from experiments.sweep import plan as module
from experiments.sweep.file import read_sweep
from experiments.sweep.plan import PlannedRun, plan
from tests.helpers.runs import TOY


def file(folder: Path, **content: Any) -> str:
    path = folder / "toys.yaml"
    path.write_text(yaml.safe_dump({"base": {"config": TOY}, **content}, sort_keys=False))
    return str(path)


def plans(folder: Path, **content: Any) -> list[PlannedRun]:
    sweep = read_sweep(file(folder, **content))
    return plan(sweep.cells(), sweep.varied, sweep.protocols, folder / "runs", sweep.name)


def test_the_folder_is_the_one_that_fit_uses(tmp_path: Path) -> None:
    runs = plans(tmp_path, grid={"seed": [0, 5], "model.init_args.lr": [0.01]}, protocols="cpu256")
    for run, seed in zip(runs, (0, 5), strict=True):
        assert run.folder == run_folder(list(run.argv))
        assert run.identity.startswith(run.folder.name.removeprefix("toy-"))
        assert run.config["seed_everything"] == seed and run.config["model"]["init_args"]["lr"] == 0.01
        assert run.config["wandb"]["tags"] == ["toys"] and run.max_steps == 24
        assert [test.protocol for test in run.tests] == ["protocol/cpu256"]
    assert runs[0].tests == runs[1].tests, "what is asked for does not depend on the seed"
    assert len({run.folder for run in runs}) == 2
    assert not (tmp_path / "runs").exists()


def test_what_is_asked_depends_on_the_metrics_settings_and_not_on_label_or_split(tmp_path: Path) -> None:
    def asked(protocol: dict[str, Any], threshold: int) -> str:
        metric = {"class_path": "metrics.content.AverageContentDistance", "init_args": {"threshold": threshold}}
        path = tmp_path / "p.yaml"
        path.write_text(yaml.safe_dump({"evaluate": {"protocol": protocol, "metrics": {"acd_color": metric}}}))
        return plans(tmp_path, protocols=[str(path)])[0].tests[0].asked

    first = asked({"label": "a", "n_real": 6}, 32)
    assert asked({"label": "b", "split": "test", "n_real": 6}, 32) == first
    assert asked({"label": "a", "n_real": 7}, 32) != first
    assert asked({"label": "a", "n_real": 6}, 33) != first


def test_two_cells_of_one_run_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError) as refused:
        plans(tmp_path, grid={"data.init_args.num_workers": [0, 2]})
    said = str(refused.value)
    assert "cells 'num_workers=0' and 'num_workers=2' are one run, toy-" in said
    assert "no bearing on the weights: data.init_args.num_workers: 0 -> 2" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"grid": {"model.init_args.lrr": [1]}}, "lrr=1: model (tests.helpers.reelbench_toys.ToyGAN): Option 'lrr' is"),
        (
            {"grid": {"method": ["vgan_cpuu"]}},
            "method=vgan_cpuu: --config method/vgan_cpuu: no such file, did you mean",
        ),
        ({"grid": {"seed": [0]}, "protocols": ["cpu25"]}, "seed=0: --config protocol/cpu25: no such file, did you"),
        ({"base": {"config": TOY, "trainer.max_steps": 0}}, "trainer.max_steps must be the budget in steps, found 0"),
    ],
)
def test_what_the_parser_refuses_is_said_with_the_cell(
    content: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", file(tmp_path, **content), "--dry-run", "--runs", str(tmp_path / "runs")]) == 2
    shown = capsys.readouterr()
    assert said in shown.err and "Traceback" not in shown.err and not shown.out


def test_dry_run_and_status_make_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = file(tmp_path, grid={"seed": [0, 1]})
    for flag, told in (("--dry-run", "# 2 runs: 0 done, 2 to do"), ("--status", "2 runs: 2 missing")):
        assert main(["sweep", name, flag, "--runs", str(tmp_path / "runs")]) == 0
        assert capsys.readouterr().out.rstrip().endswith(told)
    assert [path.name for path in tmp_path.iterdir()] == ["toys.yaml"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "say where to run: --local N"),
        (("--local", "0"), "--local must lie between 1 and 1024, found 0"),
        (("--local", "1", "--nice", "20"), "--nice must lie between 0 and 19, found 20"),
        (("--local", "1", "--threads", "0"), "--threads must lie between"),
    ],
)
def test_flags(flags: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", file(tmp_path), *flags]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted((CONFIGS / "sweep").glob("*.yaml")), ids=lambda path: path.stem)
def test_packaged_sweeps_resolve(path: Path, tmp_path: Path) -> None:
    sweep = read_sweep(str(path))
    cells = sweep.cells()
    assert cells and plan(cells, sweep.varied, sweep.protocols, tmp_path, sweep.name)


def test_seeds_are_parsed_once_unless_something_is_made_of_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[list[str]] = []
    resolve = module._resolve

    def counted(command: str, argv: list[str], label: str) -> dict[str, Any]:
        parsed.append(argv)
        return resolve(command, argv, label)

    monkeypatch.setattr(module, "_resolve", counted)
    runs = plans(tmp_path, grid={"seed": [0, 1, 2]})
    assert len(parsed) == 1 and len({run.identity for run in runs}) == 3
    (tmp_path / "made.yaml").write_text("model: {init_args: {z: '${seed_everything}'}}\n")
    made = plans(tmp_path, grid={"seed": [3, 4]}, base={"config": [TOY, str(tmp_path / "made.yaml")]})
    assert [run.config["model"]["init_args"]["z"] for run in made] == [3, 4]
    for run in (*runs, *made):
        assert run.folder == run_folder(list(run.argv))


@pytest.mark.parametrize("seed", [-1, "one", True, 1.5])
def test_seed_that_is_none(seed: Any, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="seed must be a whole number from 0"):
        plans(tmp_path, grid={"seed": [seed]})
