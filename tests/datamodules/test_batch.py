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


def test_each_kind_is_widened_as_documented() -> None:
    frames = torch.zeros(2, 3, 4, 8, 8, dtype=torch.uint8)
    batch: dict[str, Any] = {
        "video": frames,
        "context": frames[:, :, :2],
        "source": frames[:, :, 0],
        "condition": frames,
        "labels": torch.full((2, 4, 8, 8), 200, dtype=torch.uint8),
        "instances": torch.full((2, 4, 8, 8), 26_001, dtype=torch.int32),
        "mask": torch.full((2, 1, 4, 8, 8), 51, dtype=torch.uint8),
        "flow": torch.full((2, 2, 3, 8, 8), -48, dtype=torch.int16),
        "flow_back": torch.full((2, 2, 3, 8, 8), 0.25),
        "flow_valid": torch.ones(2, 1, 3, 8, 8, dtype=torch.uint8),
        "pose": torch.full((2, 1, 4, 18, 3), 0.5),
        "attributes": {"category": torch.tensor([1, 2])},
        "index": torch.tensor([5, 6]),
        "name": ["a", "b"],
        "step": 3,
    }
    before = {key: value.clone() for key, value in batch.items() if isinstance(value, torch.Tensor)}
    out = to_float(batch)
    assert all((out[key] == -1).all() for key in ("video", "context", "source", "condition"))
    assert (out["labels"].dtype, out["instances"].dtype) == (torch.int64, torch.int64)
    assert (out["labels"] == 200).all() and (out["instances"] == 26_001).all()
    torch.testing.assert_close(out["mask"], torch.full((2, 1, 4, 8, 8), 0.2))
    torch.testing.assert_close(out["flow"], torch.full((2, 2, 3, 8, 8), -1.5))
    assert out["flow_valid"].dtype == torch.float32 and (out["flow_valid"] == 1).all()
    assert all(out[key] is batch[key] for key in ("flow_back", "pose", "attributes", "index", "name", "step"))
    assert all(torch.equal(batch[key], value) and batch[key].dtype == value.dtype for key, value in before.items())


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
