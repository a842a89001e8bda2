"""Writes a cache folder: beside its place first, then renamed, so that it appears whole or not at all."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from datamodules.bad_files import BadFile, DroppedFile, listed
from datamodules.build_progress import BuildProgress, say
from datamodules.cache_journal import Entry, Journal
from datamodules.content import Content, Source, fingerprint
from datamodules.errors import BenchError
from datamodules.files import cannot_write, free_bytes, readable_size, sync_folder, write_whole
from datamodules.frame_record import pack, record_dtype
from datamodules.store import ATTRIBUTE, INDEX, MANIFEST
from datamodules.tracks import Track

SCHEMA = 3  # of the folder's layout and of what readers mean by their policy


class Reader(Protocol):
    """Makes frames from a file.

    Attributes:
        policy: JSON-able; everything that decides the pixels, library versions with it.
        shape: H, W, C of a frame.
        noun: what its files are called in messages, where that is not `videos`.
        summary: makes lines of the entries of a finished build; not every reader has it.
    """

    @property
    def policy(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def shape(self) -> tuple[int, int, int]: ...  # noqa: D102

    def count(self, path: Path) -> int:
        """Frames by the header: an estimate for the plan, 0 where unknown. Raises `BadFile` or `DroppedFile`."""
        ...

    def read(self, path: Path) -> np.ndarray:
        """uint8 T H W C. Raises `BadFile` or `DroppedFile`."""
        ...


Piece = np.ndarray | Mapping[str, np.ndarray]  # uint8 T H W C, or that as `video` with T rows of each track


class Pieces(Protocol):
    """One pass over a video in pieces; the attributes are complete when they have ended.

    Attributes:
        header: frames that the file claims, None where it does not.
        rate: frames a second, None where unknown.
        warnings: what a user should know.
        broken: why frames are missing at the end; None for a sound video.
        found: for the manifest, what an estimator found; not every reader has it.
    """

    header: int | None
    rate: float | None
    warnings: list[str]
    broken: str | None

    def __iter__(self) -> Iterator[Piece]:
        """Raises `BadFile` where no frame can be read."""
        ...


@runtime_checkable
class PieceReader(Protocol):
    """A `Reader` for long videos and for parts of them."""

    def count(self, path: Path, start: int = 0, end: int | None = None) -> int:
        """As `Reader.count`, of the frames `start:end`."""
        ...

    def open(self, path: Path, start: int = 0, end: int | None = None) -> Pieces:
        """The frames `start:end`."""
        ...


@runtime_checkable
class TrackReader(PieceReader, Protocol):
    """A `PieceReader` whose pieces are mappings, with a row of each track for each frame."""

    @property
    def tracks(self) -> Mapping[str, Track]: ...  # noqa: D102


def build(folder: Path, key: str, sources: Sequence[Source], content: Content, reader: Reader) -> None:
    """Makes the cache `folder`; see `datamodules.cache.open_cache`, which calls this under a lease.

    Each video that is done is kept: a build that was killed, or ran out of disk, goes on behind the last of them.
    """
    claimed = [_count(source, reader) for source in sources]
    height, width, channels = reader.shape
    tracks = reader.tracks if isinstance(reader, TrackReader) else {}
    dtype = record_dtype((channels, height, width), tracks)
    noun = getattr(reader, "noun", "videos")
    journal = Journal(folder, key, [source.name for source in sources], dtype.itemsize, noun)
    resumable = False
    try:
        _announce(folder, claimed, journal, dtype.itemsize, noun)
        _decode(sources, claimed, reader, dtype, journal)
        _require(journal.entries, folder)
        if fingerprint(sources) != content.fingerprint:
            raise BenchError(f"files of {folder.name} changed while they were read; start again when they are complete")
        journal.close()
        raw = _packed(_index(sources, journal.entries))
        write_whole(journal.half / INDEX, raw)
        described = {kind: _reasons(journal.entries, kind) for kind in ("skipped", "dropped", "cut")} | {
            "key": key,
            "schema": SCHEMA,
            "policy": dict(reader.policy),
            "shape": [journal.bytes // dtype.itemsize, channels, height, width],
            "tracks": tracks,
            "index": hashlib.blake2b(raw, digest_size=16).hexdigest(),
        }
        del raw  # memory: what is held for each video is what limits a set of very many
        write_whole(journal.half / MANIFEST, _manifest(described, sources, content, journal.entries))
        _publish(journal.half, folder)
    except OSError as error:
        resumable = bool(journal.entries)
        kept = f"; {len(journal.entries)} of {len(sources)} {noun} are done and kept" if resumable else ""
        raise BenchError(f"{cannot_write(journal.half, error)}{kept}") from error
    except (KeyboardInterrupt, SystemExit):
        resumable = True
        raise
    finally:
        if resumable:
            journal.leave()
        else:
            journal.remove()
    sync_folder(folder.parent)
    for line in reader.summary(journal.entries) if hasattr(reader, "summary") else ():
        say(line)


def _count(source: Source, reader: Reader | PieceReader) -> int | Entry:
    """Frames that the header claims, or the entry of a file that cannot be used."""
    try:
        if isinstance(reader, PieceReader):
            return reader.count(source.path, source.start, source.end)
        return reader.count(source.path)
    except BadFile as error:
        return {"name": source.name, "skipped": str(error)}
    except DroppedFile as error:
        return {"name": source.name, "dropped": str(error)}


def _announce(folder: Path, claimed: Sequence[int | Entry], journal: Journal, frame_bytes: int, noun: str) -> None:
    """Says what will be built, before anything is. Raises `BenchError` where the disk is too small for it."""
    counts = [count for count in claimed if isinstance(count, int)]
    _require([entry if isinstance(entry, dict) else {"length": entry} for entry in claimed], folder)
    unknown = counts.count(0)
    need, free = sum(counts) * frame_bytes, free_bytes(folder)
    open_end = f" and more ({unknown} files do not say how long they are)" if unknown else ""
    if need - journal.bytes > free:
        raise BenchError(
            f"the cache of {len(counts):,} {noun} needs {readable_size(need)}{open_end}, but {folder.parent} has "
            f"{readable_size(free)} free; free space, or point REELBENCH_CACHE to another disk"
        )
    left_out = f", {len(claimed) - len(counts)} files left out" if len(counts) < len(claimed) else ""
    length = f", about {sum(counts):,} frames" if noun != "frames" else ""
    say(
        f"building the cache {folder}: {len(counts):,} {noun}{left_out}{length}, {readable_size(need)}{open_end}; "
        f"{readable_size(free)} free"
    )


def _decode(
    sources: Sequence[Source], claimed: Sequence[int | Entry], reader: Reader, dtype: np.dtype, journal: Journal
) -> None:
    """Appends every video's frames that the journal does not have yet."""
    done = len(journal.entries)
    with BuildProgress("decoding", len(sources), done) as progress:
        for source, count in list(zip(sources, claimed, strict=True))[done:]:
            if isinstance(count, int):
                journal.finish(_video(source, reader, dtype, journal, progress))
            else:
                journal.finish(count)
            progress.advance(videos=1)


def _video(source: Source, reader: Reader, dtype: np.dtype, journal: Journal, progress: BuildProgress) -> Entry:
    """Writes one video's frames; its entry in the journal."""
    entry: Entry = {"name": source.name}
    length = 0
    try:
        if isinstance(reader, PieceReader):
            reading = reader.open(source.path, source.start, source.end)
        else:
            reading = Whole(reader, source)
        for piece in reading:
            records = pack(piece, dtype, type(reader).__name__)
            journal.write(records.view(np.uint8).data)
            length += len(records)
            progress.advance(frames=len(records))
    except BadFile as error:
        return entry | {"skipped": str(error)}
    except DroppedFile as error:
        return entry | {"dropped": str(error)}
    facts = {"header": reading.header, "rate": reading.rate, "warnings": reading.warnings, "cut": reading.broken}
    facts["found"] = getattr(reading, "found", None)
    return entry | {"length": length} | {key: fact for key, fact in facts.items() if fact}


class Whole:
    """What a `Reader` gives, as `Pieces`."""

    def __init__(self, reader: Reader, source: Source) -> None:
        self._reader, self._source = reader, source
        self.header: int | None = None
        self.rate: float | None = None
        self.warnings: list[str] = []
        self.broken: str | None = None

    def __iter__(self) -> Iterator[Piece]:
        video = self._reader.read(self._source.path)
        start, end = self._source.start, self._source.end
        if end is not None and end > len(video):
            self.broken = f"frames {start}:{end} were asked for, but it has {len(video)}"
        video = video[start:end]
        if not len(video):
            raise BadFile(self.broken or f"has no frame from {start} on")
        yield video


def _require(entries: Sequence[Entry], folder: Path) -> None:
    """Raises `BenchError` where no video can be used."""
    if not any("length" in entry for entry in entries):
        reasons = [*_reasons(entries, "skipped"), *_reasons(entries, "dropped")]
        raise BenchError(f"{folder.name}: none of the files can be used:\n{listed(reasons)}")


def _reasons(entries: Sequence[Entry], kind: str) -> list[tuple[str, str]]:
    return [(entry["name"], entry[kind]) for entry in entries if kind in entry]


def _index(sources: Sequence[Source], entries: Sequence[Entry]) -> dict[str, np.ndarray]:
    """Where each video lies, and what is known of it."""
    kept = [(source, entry) for source, entry in zip(sources, entries, strict=True) if "length" in entry]
    length = np.array([entry["length"] for _, entry in kept], dtype=np.int64)
    index = {
        "name": np.array([source.name for source, _ in kept]),
        "length": length,
        "offset": np.cumsum(length) - length,
        "pixels": np.array([entry["pixels"] for _, entry in kept]),
    }
    for name in sources[0].attributes:
        index[ATTRIBUTE + name] = np.array([source.attributes[name] for source, _ in kept], dtype=np.int64)
    return index


def _manifest(
    described: Mapping[str, Any], sources: Sequence[Source], content: Content, entries: Sequence[Entry]
) -> Iterator[str]:
    """`described`, and what became of each file: JSON in pieces, a line a file. Whole, it would take 1 kB a file."""
    yield json.dumps(described, indent=1, sort_keys=True).removesuffix("\n}") + ',\n "sources": ['
    shown = ("length", "header", "rate", "warnings", "found")
    for number, (source, (size, digest), e) in enumerate(zip(sources, content.files, entries, strict=True)):
        fate = {"name": source.name, "bytes": size, "blake2b": digest} | {key: e[key] for key in shown if key in e}
        yield (",\n  " if number else "\n  ") + json.dumps(fate, sort_keys=True)
    yield "\n ]\n}"


def _publish(half: Path, folder: Path) -> None:
    try:
        half.rename(folder)
    except OSError:
        if not folder.exists():  # another builder, who held this one for dead, was first: the content is the same
            raise


def _packed(index: Mapping[str, np.ndarray]) -> memoryview:
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **index)
    return buffer.getbuffer()
