"""What every datamodule shares: the step-keyed training stream and the evaluation clips. A data set gives a `Store`."""

import os
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Literal, Protocol, cast

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from datamodules.batch import VideoBatch, to_float
from datamodules.errors import BenchError
from datamodules.stream import Steps, StreamSpec, draws, keyed_rng, permutation
from datamodules.tracks import BETWEEN, SOURCES, still


class Store(Protocol):
    """Videos of one split, ready to be gathered: a memmap cache or a generator.

    Attributes:
        lengths: frames of each video.
        names: where each video comes from, for messages.
        attributes: per video int64, such as category and subject.
        digest: of content and policy; part of the protocol.
    """

    @property
    def lengths(self) -> np.ndarray: ...  # noqa: D102

    @property
    def names(self) -> list[str]: ...  # noqa: D102

    @property
    def attributes(self) -> Mapping[str, np.ndarray]: ...  # noqa: D102

    @property
    def digest(self) -> str: ...  # noqa: D102

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """uint8 B T H W C: `frames` (B T) of `videos` (B)."""
        ...


class TrackStore(Store, Protocol):
    """A store that knows more of its frames than their pixels."""

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        """The `keys` of `VideoBatch`, `video` (uint8 B C T H W) among them, as they travel, of the clips asked for.

        Flow runs between the frames asked for, whatever their distance.
        """
        ...


Source = Literal["none", "first", "random"]


def windows(lengths: np.ndarray, frames: int, stride: int, uniform: np.ndarray) -> np.ndarray:
    """Frame numbers of clips, MoCoGAN's rule: a random window of `stride`; the first `frames` where it is too short.

    Args:
        lengths: B, frames that the videos have.
        uniform: B in [0, 1), decides where the windows start.

    Returns:
        int64 B T.

    Raises:
        BenchError: a video has fewer than `frames` frames.
    """
    if (lengths < frames).any():
        raise BenchError(
            f"a clip of {frames} frames was asked for, but a video has {lengths.min()}: lower "
            "evaluate.protocol.frames or data.init_args.frames"
        )
    step = np.where(lengths >= frames * stride, stride, 1)  # official; (frames - 1) * stride + 1 would do
    starts = np.where(lengths >= frames * stride, lengths - (frames - 1) * stride, 1)
    return (uniform * starts).astype(np.int64)[:, None] + step[:, None] * np.arange(frames)


class ClipData(L.LightningDataModule):
    """Base of all data sets.

    Args:
        size: height and width of the frames, or (height, width).
        frames: T, frames of a clip.
        stride: every `stride`-th frame of the video.
        batch_size: clips per step over all processes (the global batch).
        context: K, how many first frames prediction methods are given.
        num_workers: loader processes; data in the cache are read fastest with 0.
    """

    name = "data"
    channels = 3
    resize = "none"
    # Keys of `VideoBatch` that the store's `tracks` gives beside `video`; those that `gives` promises.
    tracks: frozenset[str] = frozenset()
    # Whether a batch has a `source` picture, with its pose, mask and labels where the frames have theirs: the clip's
    # first frame, or any frame of its video.
    source: Source = "none"
    # Pairs of joints of `pose` to join where it is drawn.
    limbs: Sequence[tuple[int, int]] = ()

    def __init__(
        self,
        size: int | tuple[int, int] = 64,
        frames: int = 16,
        stride: int = 1,
        batch_size: int = 32,
        context: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        for key, value in (("frames", frames), ("stride", stride), ("batch_size", batch_size)):
            if value < 1:
                raise BenchError(f"data.init_args.{key} must be at least 1, found {value}")
        if not 0 <= context < frames:
            raise BenchError(f"data.init_args.context must lie in 0..{frames - 1} (frames={frames}), found {context}")
        self.height, self.width = (size, size) if isinstance(size, int) else size
        self.frames, self.stride, self.batch_size = frames, stride, batch_size
        self.context, self.num_workers = context, num_workers
        self._stores: dict[str, Store] = {}

    @classmethod
    def gives(cls, **init_args: Any) -> frozenset[str]:
        """Batch keys beside `index` and `name`, given the resolved arguments."""
        keys = {"video"} | ({"context"} if init_args.get("context") else set())
        return frozenset(keys | (BETWEEN if init_args.get("flow") else set()))

    def open_store(self, split: str) -> Store:
        """The videos of `train`, `val` or `test`."""
        raise NotImplementedError(f"{type(self).__name__}.open_store")

    def store(self, split: str) -> Store:
        """`open_store`, once.

        Raises:
            BenchError: a video is shorter than a clip.
        """
        if split not in self._stores:
            store = self.open_store(split)
            shortest = int(np.argmin(store.lengths))
            if store.lengths[shortest] < self.frames:
                raise BenchError(
                    f"{self.name}: {store.names[shortest]} has {store.lengths[shortest]} frames, but a clip has "
                    f"data.init_args.frames={self.frames}"
                )
            self._stores[split] = store
        return self._stores[split]

    def split_digest(self, split: str) -> str:
        """What the protocol records of the split's content."""
        return self.store(split).digest

    def batch(
        self,
        split: str,
        videos: np.ndarray,
        frames: np.ndarray,
        index: np.ndarray,
        uniform: np.ndarray | None = None,
    ) -> VideoBatch:
        """Clips as they travel: small types, batch first.

        Args:
            videos: B, frames: B T, index: B (the number that keys the noise).
            uniform: B in [0, 1), decides which frame a random `source` is; needed where there is one.
        """
        store = self.store(split)
        out: VideoBatch = {
            "index": torch.from_numpy(np.asarray(index, dtype=np.int64)),
            "name": [f"{store.names[v]}[{f[0]}:{f[-1] + 1}]" for v, f in zip(videos, frames, strict=True)],
        }
        out.update(self._read(store, videos, frames, self.tracks))
        if store.attributes:
            out["attributes"] = {k: torch.from_numpy(a[videos].astype(np.int64)) for k, a in store.attributes.items()}
        if self.context:
            out["context"] = out["video"][:, :, : self.context]
        if self.source != "none":
            at = frames[:, 0]
            if self.source == "random":
                assert uniform is not None
                at = (uniform * store.lengths[videos]).astype(np.int64)
            read = self._read(store, videos, at[:, None], self.tracks & set(SOURCES.values()))
            named = {key: still(of, read[of]) for key, of in SOURCES.items() if of in read}  # type: ignore[literal-required]
            out.update(cast(VideoBatch, named))
        return out

    @staticmethod
    def _read(store: Store, videos: np.ndarray, frames: np.ndarray, tracks: frozenset[str]) -> VideoBatch:
        if frames.shape[1] == 1:
            tracks -= BETWEEN
        if not tracks:
            clips = store.gather(videos, frames)  # B T H W C
            return {"video": torch.from_numpy(np.ascontiguousarray(clips.transpose(0, 4, 1, 2, 3)))}  # B C T H W
        # Not isinstance: that reads every property of the protocol, and a digest may cost a read of all files.
        arrays = cast(TrackStore, store).tracks(videos, frames, tracks | {"video"})
        return cast(VideoBatch, {key: torch.from_numpy(np.ascontiguousarray(a)) for key, a in arrays.items()})

    def eval_batch(self, split: str, index: range | list[int], frames: int, stride: int, seed: int) -> VideoBatch:
        """Evaluation clips `index`, keyed by (seed, i): the first n clips show n different videos while there are such.

        Stores list videos by category, so clips follow a permutation of the videos: the first 256 of a larger split are
        as mixed as the split.

        Raises:
            BenchError: a video has fewer than `frames` frames.
        """
        numbers = np.array(index, dtype=np.int64)
        store = self.store(split)
        lengths = store.lengths
        videos = permutation(len(lengths), seed, f"eval {split}", 0)[numbers % len(lengths)]
        for video in videos[lengths[videos] < frames][:1].tolist():
            raise BenchError(
                f"{self.name}: clips of {frames} frames were asked for, but {store.names[video]} has {lengths[video]}; "
                "ask for fewer (evaluate.protocol.frames when scoring, --frames when sampling), or give longer videos"
            )
        uniform = np.array([keyed_rng("eval", seed, i).random(2) for i in index]).reshape(-1, 2)
        at = windows(lengths[videos], frames, stride, uniform[:, 0])
        return self.batch(split, videos, at, numbers, uniform[:, 1])

    def train_dataloader(self) -> DataLoader:
        """Endless: item k of the loader is step k, wherever the run starts."""
        trainer = self.trainer
        if trainer is None:
            raise BenchError("the training stream needs a trainer: it reads rank, world size and the restored step")
        method = trainer.lightning_module
        streams = getattr(method, "streams", {"clips": StreamSpec()})
        steps = TrainSteps(self, dict(streams), training_seed(), trainer.global_rank, trainer.world_size)
        return DataLoader(
            steps,
            sampler=Steps(lambda: trainer.fit_loop.total_batch_idx + 1),
            batch_size=None,
            num_workers=self.num_workers,
            pin_memory=trainer.strategy.root_device.type == "cuda",
            persistent_workers=self.num_workers > 0,
        )

    def val_dataloader(self) -> DataLoader:
        """One empty batch: `Evaluate` reads `eval_batch` in its own loop."""
        return DataLoader(_OneEmptyBatch(), batch_size=None)

    test_dataloader = predict_dataloader = val_dataloader

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """uint8 -> [-1, 1] on the device."""
        return to_float(batch)


def training_seed() -> int:
    """The run's seed as `seed_everything` left it."""
    return int(os.environ.get("PL_GLOBAL_SEED", 0))


class _OneEmptyBatch(Dataset[Any]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, item: int) -> dict[str, Any]:
        return {}


class TrainSteps(Dataset[Any]):
    """Item k is this rank's part of step k."""

    def __init__(self, data: ClipData, streams: dict[str, StreamSpec], seed: int, rank: int, world: int) -> None:
        self.data, self.streams, self.seed, self.rank, self.world = data, streams, seed, rank, world
        for name, spec in streams.items():
            batch = spec.batch or data.batch_size
            if batch % world:
                raise BenchError(f"stream {name}: the global batch {batch} must divide by {world} processes")

    def _stream(self, name: str, spec: StreamSpec, step: int) -> VideoBatch:
        lengths = self.data.store("train").lengths
        frames, size = spec.frames or self.data.frames, spec.batch or self.data.batch_size
        single = frames == 1
        # Single frames are drawn uniformly over all frames of all videos (MoCoGAN's S_1), clips by video.
        ends = np.cumsum(lengths)
        items = int(ends[-1]) if single else len(lengths)
        drawn = draws(
            step,
            items=items,
            batch=size,
            seed=self.seed,
            stream=name,
            rank=self.rank,
            world=self.world,
        )
        item = np.array([d.item for d in drawn], dtype=np.int64)
        # Every rank draws for the whole global batch and takes its own places.
        places = [d.position for d in drawn]
        if single:
            videos = np.searchsorted(ends, item, side="right")
            at = (item - (ends[videos] - lengths[videos]))[:, None]
        else:
            videos = item
            uniform = keyed_rng("window", self.seed, name, step).random(size)[places]
            at = windows(lengths[videos], frames, self.data.stride, uniform)
        still = None
        if self.data.source == "random":
            still = keyed_rng("source", self.seed, name, step).random(size)[places]
        batch = self.data.batch("train", videos, at, item, still)
        batch["step"] = step
        return batch

    def __getstate__(self) -> dict[str, Any]:
        data = copy(self.data)
        data.trainer = None  # a loader worker has no use for the trainer, which may not be picklable
        return {**self.__dict__, "data": data}

    def __getitem__(self, step: int) -> Mapping[str, Any]:
        streams: dict[str, Any] = {name: self._stream(name, spec, step) for name, spec in self.streams.items()}
        return streams["clips"] if set(streams) == {"clips"} else streams
