"""One pass of an extractor serves all metrics, and real features are extracted once for good."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor

from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.evaluation import run_protocol
from metrics.base import MetricResult, VideoMetric
from metrics.features.base import Extractor
from metrics.frechet import FrechetDistance
from metrics.frechet_infinity import FrechetInfinity
from metrics.kernel_distance import KernelDistance
from metrics.precision_recall import Precision, Recall
from metrics.protocol import Protocol, ProtocolSettings
from metrics.suite import MetricSuite
from tests.metrics.array_data import ArrayData, noise_clips, numbered

CLIPS = 12


class Counting(Extractor):
    """Mean and spread of each channel; counts the clips that it describes, and is worth keeping."""

    name, num_features, preprocessing = "counting", 6, "none"
    seen = 0

    def __init__(self, level: str = "clip", kept: bool = True, version: str = "1") -> None:
        super().__init__()
        self.level, self.kept, self.version = level, kept, version  # type: ignore[assignment]
        self.freeze()

    @property
    def keep_real(self) -> bool:
        return self.kept

    @property
    def fingerprint(self) -> str:
        return f"{super().fingerprint} {self.version}"

    def features(self, clips: Tensor) -> Tensor:
        type(self).seen += len(clips)
        frames = clips.float().flatten(3)  # B 3 T HW
        described = torch.cat([frames.mean(3), frames.std(3)], 1).transpose(1, 2)  # B T 6
        return described if self.level == "frame" else described.mean(1)


def every(level: str = "clip", kept: bool = True, version: str = "1") -> dict[str, VideoMetric]:
    """All metrics over features, each with an extractor of its own, as a config builds them."""
    metrics: list[VideoMetric] = [
        FrechetDistance(Counting(level, kept, version)),
        KernelDistance(Counting(level, kept, version)),
        FrechetInfinity(Counting(level, kept, version)),
        Precision(Counting(level, kept, version)),
        Recall(Counting(level, kept, version)),
    ]
    return {metric.name: metric for metric in metrics}


REAL = noise_clips(1, CLIPS, 3, 4, 8, 8)
FAKE = noise_clips(0, CLIPS, 3, 4, 8, 8)
DATA = ArrayData(train=REAL, val=REAL)


class Fixed(Method):
    """Gives the clips of `FAKE`."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.nn.Module()

    def sample(self, batch: object, noise: ClipNoise) -> Tensor:
        return FAKE[torch.tensor(noise.index)].float() / 127.5 - 1


def protocol(n_real: int = CLIPS, n_fake: int = CLIPS) -> Protocol:
    return ProtocolSettings(n_real=n_real, n_fake=n_fake).resolve(DATA)


def evaluated(metrics: dict[str, VideoMetric], n_fake: int = CLIPS, batch_size: int = 5) -> dict[str, MetricResult]:
    suite = MetricSuite(metrics)
    results = run_protocol(Fixed(), DATA, protocol(n_fake=n_fake), suite, batch_size=batch_size)
    assert results is not None
    return results


@pytest.fixture(autouse=True)
def statistics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REELBENCH_STATISTICS", str(tmp_path / "statistics"))
    Counting.seen = 0
    return tmp_path / "statistics"


@pytest.mark.parametrize("level", ["clip", "frame"])
def test_each_clip_is_described_once_for_all_metrics(level: str) -> None:
    together = evaluated(every(level, kept=False))
    assert Counting.seen == 2 * CLIPS
    for name, metric in every(level, kept=False).items():
        assert evaluated({name: metric})[name] == together[name]
    assert all(result.value is not None for result in together.values())


def test_frames_of_a_clip_are_described_once() -> None:
    metrics = [
        FrechetDistance(Counting("frame", False), frames_per_clip=2),
        KernelDistance(Counting("frame", False), frames_per_clip=2),
        Precision(Counting("frame", False), frames_per_clip=3),
    ]
    evaluated({metric.name: metric for metric in metrics})
    assert Counting.seen == 2 * 2 * CLIPS  # two different choices of frames


def test_other_settings_are_not_shared() -> None:
    evaluated({"frechet[counting]": FrechetDistance(Counting(version="1", kept=False)),
               "kernel[counting]": KernelDistance(Counting(version="2", kept=False))})  # fmt: skip
    assert Counting.seen == 4 * CLIPS


def test_the_second_evaluation_does_not_describe_real_clips(statistics: Path) -> None:
    first = evaluated(every())
    assert len(list(statistics.iterdir())) == 1 and Counting.seen == 2 * CLIPS
    second = evaluated(every())
    assert Counting.seen == 3 * CLIPS
    assert second == first
    # A protocol with other generated clips has the same real ones.
    evaluated(every(), n_fake=9)
    assert Counting.seen == 3 * CLIPS + 9


def test_not_kept_where_it_is_not_worth_it_or_not_whole(statistics: Path) -> None:
    evaluated(every(kept=False))
    assert not statistics.exists()
    suite = MetricSuite(every())
    suite.prepare(DATA, protocol())
    suite.update(FAKE[:9], REAL[:9], numbered(*range(9)))
    suite.results()
    assert not statistics.exists()


def test_other_weights_data_or_counts_have_files_of_their_own(statistics: Path) -> None:
    evaluated(every())
    evaluated(every(version="2"))
    run_protocol(Fixed(), DATA, protocol(n_real=10), MetricSuite(every()))
    other = ArrayData(train=FAKE, val=FAKE)
    run_protocol(Fixed(), other, ProtocolSettings(n_real=CLIPS, n_fake=CLIPS).resolve(other), MetricSuite(every()))
    assert len(list(statistics.iterdir())) == 4


def test_known_features_survive_reset_and_forward() -> None:
    evaluated(every())
    metric = every()["frechet[counting]"]
    suite = MetricSuite({"frechet[counting]": metric})
    suite.prepare(DATA, protocol())
    for _ in range(3):
        suite.reset()
        suite.update(FAKE, REAL, numbered(*range(CLIPS)))
        assert suite.results()["frechet[counting]"].n_real == CLIPS
    values = [float(metric(FAKE, None, numbered(*range(CLIPS)))) for _ in range(100)]
    result = metric.result()
    assert (result.n_real, result.n_fake) == (CLIPS, CLIPS) and set(values) == {result.value}
    rows: Any = metric.real_rows
    assert sum(len(part) for part in rows) == CLIPS * (2 + 6)


def test_a_folder_that_cannot_be_written_costs_no_number(statistics: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = evaluated(every(kept=False))
    statistics.write_text("a file where the folder should be")
    assert evaluated(every()) == expected
    assert "real features are not kept for the next evaluation" in caplog.text


def the_file(statistics: Path) -> Path:
    evaluated(every())
    (file,) = statistics.iterdir()
    return file


def test_a_file_of_something_else_is_refused(statistics: Path) -> None:
    file = the_file(statistics)
    evaluated(every(version="2"))
    (other,) = set(statistics.iterdir()) - {file}
    file.write_bytes(other.read_bytes())
    with pytest.raises(BenchError, match=r"belong to something else: features is .* 2', expected .* 1'; remove the f"):
        evaluated(every())


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign"])
def test_a_damaged_file_is_refused(statistics: Path, damage: str) -> None:
    file = the_file(statistics)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-40])
    elif damage == "changed":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(bytes(content))
    else:
        save_file({"rows": load_file(file)["rows"]}, file)
    with pytest.raises(BenchError, match=r"are damaged.*remove the file: the real clips are then described again"):
        evaluated(every())


def one_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ["REELBENCH_STATISTICS"] = f"{folder}/statistics"
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    told: dict[str, Any] = {}
    for turn in ("first", "second"):
        before = Counting.seen
        results = run_protocol(Fixed(), DATA, protocol(), MetricSuite(every()), batch_size=4, rank=rank, world=2)
        assert results is not None
        told[turn] = {name: dict(result.as_dict()) for name, result in results.items()}
        told[f"{turn} seen"] = {"clips": Counting.seen - before}
        dist.barrier()
    (Path(folder) / f"rank{rank}.json").write_text(json.dumps(told))
    dist.destroy_process_group()


def test_two_ranks_equal_one_and_share_what_is_kept(tmp_path: Path) -> None:
    expected = {name: dict(result.as_dict()) for name, result in evaluated(every(kept=False)).items()}
    mp.spawn(one_rank, args=(os.fspath(tmp_path),), nprocs=2)
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2)]
    for told in ranks:
        assert told["first"] == told["second"] == expected
        assert (told["first seen"]["clips"], told["second seen"]["clips"]) == (CLIPS, CLIPS // 2)
