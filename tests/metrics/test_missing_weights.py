"""A metric whose weights are not on the machine: it is left out by name, and the others are measured."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from datamodules.errors import BenchError
from experiments.board import build
from experiments.board_markdown import markdown
from experiments.results import write_results
from experiments.runs import read_runs
from metrics.base import VideoMetric
from metrics.best_of import OVERS
from metrics.features.base import Extractor
from metrics.features.i3d import I3D
from metrics.features.lpips import load
from metrics.frechet import FrechetDistance
from metrics.perceptual import Lpips
from metrics.pixel import PSNR
from metrics.protocol import ProtocolSettings
from metrics.suite import MetricSuite
from metrics.weights import MissingWeights, locate
from tests.experiments.run_folders import write_run
from tests.metrics.array_data import ArrayData, noise_clips, numbered

NOTE = "weights missing: reelbench weights fetch i3d"


@pytest.fixture
def nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path / "weights"))


class Published(Extractor):
    """Mean colours, by weights that are there or not."""

    name, level, num_features, preprocessing, weights = "published", "clip", 3, "none", "i3d"

    def __init__(self, there: bool = False) -> None:
        super().__init__()
        self.there, self.loads = there, 0
        self.freeze()

    def load(self) -> None:
        self.loads += 1
        if not self.there:
            raise MissingWeights("i3d", [Path("nowhere")])

    def features(self, clips: Tensor) -> Tensor:
        return clips.float().mean(dim=(2, 3, 4))


def scored(metrics: dict[str, VideoMetric], frames: int = 9) -> MetricSuite:
    fake, real = noise_clips(0, 4, 3, frames, 16, 16), noise_clips(1, 4, 3, frames, 16, 16)
    data = ArrayData(val=real)
    suite = MetricSuite(metrics)
    suite.prepare(data, ProtocolSettings(n_real=4, n_fake=4).resolve(data))
    suite.update(fake, real, numbered(0, 1, 2, 3))
    return suite


@pytest.mark.usefixtures("nothing_there")
def test_of_several_samples_best_mean_and_worst_say_so(tmp_path: Path) -> None:
    fake, real = noise_clips(0, 4, 3, 9, 16, 16), noise_clips(1, 4, 3, 9, 16, 16)
    data = ArrayData(val=real)
    suite = MetricSuite({"lpips[alex]": Lpips(load), "psnr": PSNR()})  # type: ignore[arg-type]
    protocol = ProtocolSettings(n_real=4, n_fake=4, samples=2).resolve(data)
    suite.prepare(data, protocol)
    for sample in range(2):
        suite.update(fake, real, numbered(0, 1, 2, 3), sample)
    results = suite.results()
    assert list(results) == [f"{metric}_{over}" for metric in ("lpips[alex]", "psnr") for over in OVERS]
    assert results["lpips[alex]_best"].value is None and results["psnr_best"].value is not None
    write_results(tmp_path, {}, protocol, results, suite.metrics, {})
    written = json.loads((tmp_path / "results.json").read_text())["results"][protocol.hash]["values"]
    assert written["lpips[alex]_worst"]["note"].startswith("weights missing: ")


@pytest.mark.usefixtures("nothing_there")
def test_the_column_says_so_and_the_others_are_measured() -> None:
    fvd = FrechetDistance(I3D())
    results = scored({fvd.name: fvd, "psnr": PSNR()}).results()
    missing = results[fvd.name]
    assert (missing.value, missing.standard_error, missing.note) == (None, None, NOTE)
    assert missing.fingerprint == fvd.fingerprint
    assert results["psnr"].value == scored({"psnr": PSNR()}).results()["psnr"].value


def test_weights_are_loaded_once_before_anything_is_sampled() -> None:
    extractor = Published(there=True)
    metric = FrechetDistance(extractor)
    data = ArrayData(val=noise_clips(1, 4, 3, 9, 16, 16))
    suite = MetricSuite({metric.name: metric})
    suite.prepare(data, ProtocolSettings(n_real=4, n_fake=4).resolve(data))
    assert extractor.loads == 1
    suite.update(noise_clips(0, 4, 3, 9, 16, 16), noise_clips(1, 4, 3, 9, 16, 16), numbered(0, 1, 2, 3))
    assert extractor.loads == 1
    assert suite.results()[metric.name].value is not None


def test_fetched_between_two_evaluations() -> None:
    extractor = Published()
    metric = FrechetDistance(extractor)
    before = scored({metric.name: metric}).results()[metric.name]
    extractor.there = True
    after = scored({metric.name: metric}).results()[metric.name]
    assert before.note == NOTE and after.value is not None
    assert before.fingerprint == after.fingerprint  # the column keeps its hash


def test_a_wrong_file_stops_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    (tmp_path / "i3d-kinetics-400.safetensors").write_bytes(b"something else")
    metric = FrechetDistance(I3D())
    with pytest.raises(BenchError, match=r"is not the file of the weights i3d: it has 14 bytes"):
        scored({metric.name: metric})


def test_alone_the_metric_says_what_to_do(nothing_there: None) -> None:
    metric = FrechetDistance(I3D())
    with pytest.raises(MissingWeights, match="`reelbench weights fetch i3d`"):
        metric.update(noise_clips(0, 1, 3, 9, 16, 16), None, numbered(0))


@pytest.mark.usefixtures("nothing_there")
def test_the_leaderboard_shows_it_in_the_cell(tmp_path: Path) -> None:
    metrics: dict[str, VideoMetric] = {m.name: m for m in (FrechetDistance(I3D()), PSNR())}
    suite = scored(metrics)
    folder = write_run(tmp_path / "runs", "mocogan")
    about = {"name": "mocogan", "identity": "0" * 12, "method": "mocogan", "data": "arrays", "seed": 0}
    measured = {"step": 1500, "max_steps": 1500, "weights": "raw", "seconds": 1.0, "code_version": "abc1234"}
    summary = write_results(folder, about, suite.protocol, suite.results(), metrics, measured)
    assert list(summary) == [suite.protocol.key("psnr", metrics["psnr"].fingerprint)]
    text = markdown(build(read_runs([tmp_path / "runs"])))
    assert "weights missing¹ |" in text and f"¹ {NOTE}" in text


def one_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    metric = FrechetDistance(Published(there=rank == 0))
    results: dict[str, Any] = {
        c: r.as_dict() for c, r in scored({metric.name: metric, "psnr": PSNR()}).results().items()
    }
    (Path(folder) / f"rank{rank}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


@pytest.mark.slow
def test_ranks_agree_where_one_of_them_lacks_the_weights(tmp_path: Path) -> None:
    mp.spawn(one_rank, args=(os.fspath(tmp_path),), nprocs=2)
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2))
    assert first == second
    assert first["frechet[published]"]["note"] == NOTE and first["psnr"]["value"] is not None


def test_locate_of_the_real_weights_is_what_the_extractor_loads(nothing_there: None, tmp_path: Path) -> None:
    with pytest.raises(MissingWeights) as caught:
        locate("i3d")
    assert str(tmp_path / "weights" / "i3d-kinetics-400.safetensors") in str(caught.value)


def test_fvd_is_a_name_for_published_settings_alone() -> None:
    assert FrechetDistance(I3D()).name == "fvd"
    assert FrechetDistance(I3D(), ddof=0).name == "frechet[i3d]"
    assert FrechetDistance(I3D(bn_eps=1e-5)).name == "frechet[i3d]"
    assert FrechetDistance(Published()).name == "frechet[published]"
