from typing import Any

import torch

from datamodules.batch import main_stream, to_float


def test_frames_become_floats_from_minus_one_to_one() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 1, 16, 16)
    out = to_float({"video": levels})["video"]
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.flatten(), torch.arange(256) / 127.5 - 1)
    assert (out.min(), out.max()) == (-1, 1)
    assert torch.equal(out.add(1).mul(127.5).round().to(torch.uint8), levels)  # nothing is lost
    assert levels.flatten().tolist() == list(range(256))  # nor written to


def test_what_is_no_frame_travels_on_as_it_is() -> None:
    frames = torch.zeros(2, 3, 4, 8, 8, dtype=torch.uint8)
    batch: dict[str, Any] = {
        "video": frames,
        "context": frames[:, :, :2],
        "source": frames[:, :, 0],
        "labels": torch.ones(2, 4, 8, 8, dtype=torch.int64),
        "mask": torch.ones(2, 1, 4, 8, 8, dtype=torch.uint8),
        "attributes": {"category": torch.tensor([1, 2])},
        "index": torch.tensor([5, 6]),
        "name": ["a", "b"],
        "step": 3,
    }
    out = to_float(batch)
    assert all((out[key] == -1).all() for key in ("video", "context", "source"))
    assert all(out[key] is batch[key] for key in ("labels", "mask", "attributes", "index", "name", "step"))
    assert batch["video"].dtype == torch.uint8


def test_named_streams_and_floats() -> None:
    batch = {
        "clips": {"video": torch.full((1, 3, 2, 4, 4), 255, dtype=torch.uint8)},
        "frames": {"video": torch.ones(1)},
    }
    out = to_float(batch)
    assert (out["clips"]["video"] == 1).all() and out["frames"]["video"] is batch["frames"]["video"]
    assert to_float([1]) == [1] and to_float({}) == {}


def test_the_main_stream_is_the_clips() -> None:
    flat = {"video": torch.zeros(1), "step": 0}
    assert main_stream(flat) is flat
    assert main_stream({"clips": flat, "frames": {}}) is flat
