import itertools

import numpy as np
import pytest
import torch

from metrics.keypoints import extent, joint_pairs, matched


def test_persons_are_paired_by_least_total_distance() -> None:
    rng = np.random.default_rng(0)
    target = torch.from_numpy(rng.uniform(0, 50, (5, 3, 6, 3)))
    target[..., 2] = 1
    order = [list(rng.permutation(4)) for _ in range(5)]
    found = torch.from_numpy(rng.uniform(0, 50, (5, 4, 6, 3)))
    found[..., 2] = torch.from_numpy(rng.random((5, 4, 6)) > 0.3)
    for frame in range(5):
        found[frame, order[frame][0]] = target[frame, 0]  # one person is found exactly
    chosen = matched(found, target)
    assert torch.equal(chosen[:, 0], target[:, 0])
    for frame in range(5):
        costs = {}
        for picked in itertools.permutations(range(4), 3):
            both = [found[frame, q, :, 2] > 0 for q in picked]
            gaps = [
                (found[frame, q, b, :2] - target[frame, p, b, :2]).norm(dim=1).mean() if b.any() else 1e9
                for p, (q, b) in enumerate(zip(picked, both, strict=True))
            ]
            costs[picked] = float(sum(gaps))
        best = min(costs, key=lambda picked: costs[picked])
        assert all(torch.equal(chosen[frame, p], found[frame, q]) for p, q in enumerate(best))


def test_persons_who_were_not_found_are_missing() -> None:
    target = torch.rand(2, 2, 4, 3) + 0.1
    assert (matched(torch.zeros(2, 1, 4, 3), target) == 0).all()
    chosen = matched(target[:, 1:], target)
    assert torch.equal(chosen[:, 1], target[:, 1]) and (chosen[:, 0] == 0).all()
    one = torch.rand(2, 1, 4, 3)
    assert matched(one, target[:, :1]) is one


def test_offsets_of_joints_that_both_have() -> None:
    target = torch.tensor([[1.0, 2, 1], [5, 5, 0.2], [9, 9, 0]])
    found = torch.tensor([[4.0, 6, 0.9], [7, 7, 0], [9, 9, 1]])
    pairs = joint_pairs(found, target)
    assert pairs.wanted.tolist() == [True, True, False] and pairs.both.tolist() == [True, False, False]
    assert pairs.offset.tolist() == [[3, 4], [0, 0], [0, 0]]
    assert pairs.place.tolist() == [[1, 2], [5, 5], [0, 0]]


def test_box_around_points() -> None:
    place = torch.tensor([[[3.0, 8], [5, 1], [100, 100]], [[3, 8], [0, 0], [0, 0]]])
    box, boxed = extent(place, torch.tensor([[True, True, False], [True, False, False]]))
    assert box.tolist() == [[2, 7], [0, 0]] and boxed.tolist() == [True, False]
    assert float(box[0, 0]) == pytest.approx(2)
