import pickle
from collections import Counter
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.base import ClipData, Store, TrainSteps, windows
from datamodules.errors import BenchError
from datamodules.stream import StreamSpec
from tests.datamodules.tracked import TrackedStore

LENGTHS = np.array([5, 12, 4, 9])
TWO = {"clips": StreamSpec(), "frames": StreamSpec(batch=6, frames=1)}


class Counting(ClipData):
    name = "counting"

    def __init__(self, lengths: np.ndarray = LENGTHS, **arguments: Any) -> None:
        super().__init__(**{"size": (2, 3), "frames": 4, "stride": 2, "batch_size": 8, **arguments})
        self.lengths = lengths
        self.opened: list[str] = []

    def open_store(self, split: str) -> Store:
        self.opened.append(split)
        return TrackedStore(self.lengths)


class Tracked(Counting):
    tracks = frozenset({"pose", "labels", "flow"})


def steps(data: ClipData | None = None, rank: int = 0, world: int = 1, seed: int = 0, streams: Any = TWO) -> TrainSteps:
    return TrainSteps(data or Counting(), streams, seed, rank, world)


def rows(batch: Any) -> list[tuple[Any, ...]]:
    """One comparable row a clip."""
    attributes = zip(*(v.tolist() for v in batch["attributes"].values()), strict=True)
    pixels = (clip.numpy().tobytes() for clip in batch["video"])
    return list(zip(batch["index"].tolist(), batch["name"], pixels, attributes, strict=True))


def loader(data: ClipData, monkeypatch: pytest.MonkeyPatch, done: int = 0, rank: int = 0, world: int = 1) -> Any:
    """The training loader as a trainer that has made `done` steps gets it."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "11")
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        lightning_module=SimpleNamespace(streams=TWO),
        global_rank=rank,
        world_size=world,
        fit_loop=SimpleNamespace(total_batch_idx=done - 1),
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    return data.train_dataloader()


def test_windows_follow_the_official_rule() -> None:
    uniform = np.linspace(0, 1, 1000, endpoint=False)
    at = windows(np.full(1000, 32), 16, 2, uniform)
    assert at.shape == (1000, 16) and set(at[:, 0].tolist()) == {0, 1} and (np.diff(at) == 2).all()
    at = windows(np.full(1000, 40), 16, 2, uniform)
    assert np.bincount(at[:, 0]).tolist() == [100] * 10 and at.max() == 39  # starts 0..9, all frames reached
    for length in (16, 31):
        np.testing.assert_array_equal(windows(np.full(2, length), 16, 2, uniform[[0, -1]]), [np.arange(16)] * 2)
    mixed = windows(np.array([31, 32, 200]), 16, 2, np.array([0.99] * 3))
    assert mixed[:, 0].tolist() == [0, 1, 168] and mixed[:, 1].tolist() == [1, 3, 170]
    assert windows(np.array([4, 9]), 1, 3, np.array([0.9, 0.9])).tolist() == [[3], [8]]


def test_a_video_shorter_than_a_clip_is_an_error() -> None:
    with pytest.raises(BenchError, match="a clip of 16 frames was asked for, but a video has 15"):
        windows(np.array([20, 15]), 16, 1, np.zeros(2))
    with pytest.raises(BenchError, match=r"counting: v2 has 4 frames, but a clip has data\.init_args\.frames=5"):
        Counting(frames=5).store("train")


def test_batches_hold_what_was_gathered() -> None:
    data = Counting(context=2)
    frames = np.array([[0, 2, 4], [8, 7, 6]])
    batch = data.batch("val", np.array([1, 3]), frames, np.array([7, 9]))
    assert batch["video"].shape == (2, 3, 3, 2, 3) and batch["video"].is_contiguous()
    assert batch["video"][:, 0, :, 0, 0].tolist() == [[1, 1, 1], [3, 3, 3]]
    assert batch["video"][:, 1, :, 1, 1].tolist() == frames.tolist()
    assert (batch["video"][:, 2] == torch.arange(3)).all()
    assert torch.equal(batch["context"], batch["video"][:, :, :2])
    assert batch["index"].tolist() == [7, 9] and batch["index"].dtype == torch.int64
    assert batch["attributes"]["category"].tolist() == [1, 1]
    assert batch["attributes"]["category"].dtype == torch.int64
    assert batch["name"] == ["v1[0:5]", "v3[8:7]"]
    assert "step" not in batch


def test_a_store_is_opened_once() -> None:
    data = Counting()
    for split in ("train", "val", "train"):
        data.store(split)
    assert data.opened == ["train", "val"] and data.split_digest("val") == "tracked"


@pytest.mark.parametrize("world", [2, 4])
def test_the_same_clips_whatever_the_number_of_processes(world: int) -> None:
    streams = {"clips": StreamSpec(), "frames": StreamSpec(batch=16, frames=1)}
    for step in (0, 5):
        alone = steps(streams=streams)[step]
        parts = [steps(rank=rank, world=world, streams=streams)[step] for rank in range(world)]
        for name in streams:
            assert Counter(rows(alone[name])) == sum((Counter(rows(part[name])) for part in parts), Counter())
            assert all(part[name]["step"] == step for part in parts)


def test_equal_data_give_equal_steps_and_other_seeds_others() -> None:
    first, second, other = steps(), steps(), steps(seed=1)
    for step in range(4):
        assert rows(first[step]["clips"]) == rows(second[step]["clips"])
        assert rows(first[step]["frames"]) == rows(second[step]["frames"])
    assert any(rows(first[step]["clips"]) != rows(other[step]["clips"]) for step in range(4))


def test_clips_are_drawn_without_replacement_and_windows_anew() -> None:
    train = steps(Counting(batch_size=4), streams={"clips": StreamSpec()})
    passes = [train[step] for step in range(60)]
    assert all(sorted(batch["index"].tolist()) == [0, 1, 2, 3] for batch in passes)
    starts = {(name.partition("[")[0], name) for batch in passes for name in batch["name"]}
    # 12 frames hold 6 windows of 4 frames with stride 2, 9 frames 3; 5 and 4 frames give their first 4.
    assert Counter(video for video, _ in starts) == {"v0": 1, "v1": 6, "v2": 1, "v3": 3}


def test_single_frames_are_drawn_uniformly_over_all_frames() -> None:
    train = steps()
    seen: Counter[tuple[int, int]] = Counter()
    for step in range(50):  # 300 frames: ten passes over 30
        video = train[step]["frames"]["video"]
        assert video.shape == (6, 3, 1, 2, 3)
        seen.update(zip(video[:, 0, 0, 0, 0].tolist(), video[:, 1, 0, 0, 0].tolist(), strict=True))
    assert seen == {(v, f): 10 for v, length in enumerate(LENGTHS.tolist()) for f in range(length)}


def test_a_lone_clips_stream_is_flat() -> None:
    batch = steps(streams={"clips": StreamSpec(frames=3)})[2]
    assert batch["video"].shape == (8, 3, 3, 2, 3) and batch["step"] == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_goes_on_reads_what_the_unbroken_run_read(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    unbroken = list(islice(loader(Counting(), monkeypatch), 12))
    resumed = list(islice(loader(Counting(num_workers=workers), monkeypatch, done=7), 5))
    assert [batch["clips"]["step"] for batch in resumed] == [7, 8, 9, 10, 11]
    for old, new in zip(unbroken[7:], resumed, strict=True):
        assert rows(old["clips"]) == rows(new["clips"]) and rows(old["frames"]) == rows(new["frames"])


def test_two_loaders_share_what_one_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = list(islice(loader(Counting(), monkeypatch), 4))
    halves = [list(islice(loader(Counting(), monkeypatch, rank=rank, world=2), 4)) for rank in (0, 1)]
    for step in range(4):
        together = Counter(rows(halves[0][step]["clips"])) + Counter(rows(halves[1][step]["clips"]))
        assert together == Counter(rows(alone[step]["clips"]))


def test_a_batch_that_the_processes_cannot_share_is_refused() -> None:
    with pytest.raises(BenchError, match="stream frames: the global batch 6 must divide by 4 processes"):
        steps(world=4)


def test_a_loader_worker_gets_no_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Counting()
    data.trainer = SimpleNamespace(unpicklable=lambda: None)  # type: ignore[assignment]
    train = steps(data)
    again = pickle.loads(pickle.dumps(train))
    assert rows(again[3]["clips"]) == rows(train[3]["clips"])
    assert again.data.trainer is None and data.trainer is not None


def test_without_a_trainer_the_stream_says_what_it_needs() -> None:
    with pytest.raises(BenchError, match="needs a trainer"):
        Counting().train_dataloader()


def test_evaluation_clips_are_keyed_by_their_number() -> None:
    data = Counting()
    eight = rows(data.eval_batch("val", range(8), 4, 2, seed=5))
    assert rows(data.eval_batch("val", [3], 4, 2, seed=5)) == eight[3:4]
    assert rows(data.eval_batch("val", [6, 1], 4, 2, seed=5)) == [eight[6], eight[1]]
    assert rows(data.eval_batch("val", np.array([6]), 4, 2, seed=5)) == eight[6:7]  # type: ignore[arg-type]
    assert rows(data.eval_batch("val", range(8), 4, 2, seed=6)) != eight
    assert data.eval_batch("val", [], 4, 2, seed=5)["video"].shape == (0, 3, 4, 2, 3)


def test_evaluation_shows_every_video_once_before_any_twice_and_mixes_them() -> None:
    data = Counting(np.full(100, 9))
    names = [name.partition("[")[0] for name in data.eval_batch("val", range(200), 4, 2, seed=0)["name"]]
    assert len(set(names[:100])) == 100 and names[100:] == names[:100]
    first = [int(name[1:]) for name in names[:30]]
    assert sum(number < 50 for number in first) in range(8, 23)  # 15 expected, standard deviation 2.3


def test_frames_come_out_in_the_range_of_floats() -> None:
    data = Counting()
    out = data.on_after_batch_transfer(data.eval_batch("val", range(2), 4, 2, 0), 0)
    assert out["video"].dtype == torch.float32 and out["video"][:, 2, :, :, 0].max() == -1


class Recorder(L.LightningModule):
    """Notes which clips it was trained on."""

    streams = TWO

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.read: list[tuple[int, list[int]]] = []

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        assert batch["clips"]["video"].dtype == torch.float32
        self.read.append((batch["clips"]["step"], batch["clips"]["index"].tolist()))
        return self.layer(batch["clips"]["video"].mean().reshape(1, 1)).sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        assert batch == {}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.mark.filterwarnings("ignore")
def test_lightning_resumes_at_the_step_of_the_checkpoint(tmp_path: Path) -> None:
    def fit(upto: int, checkpoint: Path | None = None) -> Recorder:
        method = Recorder()
        L.seed_everything(4, verbose=False)
        trainer = L.Trainer(
            max_steps=upto,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=tmp_path,
        )
        trainer.fit(method, datamodule=Counting(), ckpt_path=checkpoint)
        trainer.save_checkpoint(tmp_path / f"{upto}.ckpt")
        return method

    unbroken = fit(7)
    fit(4)
    resumed = fit(7, tmp_path / "4.ckpt")
    assert [step for step, _ in unbroken.read] == list(range(7))
    assert resumed.read == unbroken.read[4:]


def test_tracks_are_of_the_clips_own_frames() -> None:
    batch = steps(Tracked())[3]["clips"]
    assert {"pose", "labels", "flow"} <= batch.keys()
    at = batch["video"][:, 1, :, 0, 0]  # B T: frame numbers
    assert torch.equal(batch["pose"][:, 0, :, 0, 1].long(), at.long())
    assert torch.equal(batch["labels"][:, :, 0, 0], at)
    assert torch.equal(batch["flow"][:, 0, :, 0, 0], at.diff(dim=1).float())


def test_a_single_frame_has_no_flow() -> None:
    frames = steps(Tracked())[0]["frames"]
    assert frames["pose"].shape == (6, 1, 1, 1, 3) and "flow" not in frames


def test_the_source_picture_is_of_the_same_video() -> None:
    data = Tracked()
    data.source = "first"
    batch = steps(data)[0]["clips"]
    assert torch.equal(batch["source"], batch["video"][:, :, 0])
    assert torch.equal(batch["source_pose"], batch["pose"][:, :, 0])
    data.source = "random"
    seen = set()
    for step in range(60):
        batch = steps(data)[step]["clips"]
        video, frame = batch["source"][:, 0, 0, 0], batch["source"][:, 1, 0, 0]
        assert torch.equal(video, batch["video"][:, 0, 0, 0, 0])
        assert torch.equal(batch["source_pose"][:, 0, 0, 1].long(), frame.long())
        seen |= set(zip(video.tolist(), frame.tolist(), strict=True))
    assert seen == {(v, f) for v, length in enumerate(LENGTHS) for f in range(length)}


def test_a_random_source_is_keyed_like_the_clip() -> None:
    data = Tracked()
    data.source = "random"
    whole = steps(data)[5]["clips"]["source"]
    halves = [steps(data, rank, 2)[5]["clips"]["source"] for rank in (0, 1)]
    assert torch.equal(whole[0::2], halves[0]) and torch.equal(whole[1::2], halves[1])
    some = data.eval_batch("val", range(6), 4, 2, 0)["source"]
    assert torch.equal(some[4:], data.eval_batch("val", [4, 5], 4, 2, 0)["source"])
    assert not torch.equal(some, data.eval_batch("val", range(6), 4, 2, 1)["source"])


def test_where_a_clip_begins_does_not_tell_its_source() -> None:
    data = Tracked(lengths=np.full(500, 40))
    data.source = "random"
    batch = data.eval_batch("val", range(500), 4, 1, 0)
    starts, sources = batch["video"][:, 1, 0, 0, 0].numpy(), batch["source"][:, 1, 0, 0].numpy()
    assert abs(np.corrcoef(starts, sources)[0, 1]) < 0.15


def test_no_clips_are_a_batch_too() -> None:
    assert Tracked().eval_batch("val", [], 4, 2, 0)["pose"].shape[0] == 0
