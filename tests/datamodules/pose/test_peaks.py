from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from datamodules.errors import BenchError
from datamodules.pose.peaks import Rule, choose_peaks

# joint, x, y, score, number: two noses and two necks
CANDIDATES = np.array([[0, 10, 11, 0.9, 0], [0, 20, 21, 0.8, 1], [1, 30, 31, 0.7, 2], [1, 40, 41, 0.6, 3]])


def person(nose: int, neck: int, score: float) -> list[float]:
    return [nose, neck, *[-1] * 16, score, 2]


def test_the_best_person_is_taken() -> None:
    pose = choose_peaks(CANDIDATES, np.array([person(0, 2, 1.0), person(1, 3, 2.0)]))
    np.testing.assert_allclose(pose[:2], [[20, 21, 0.8], [40, 41, 0.6]], rtol=1e-6)
    assert not pose[2:].any()
    first = choose_peaks(CANDIDATES, np.array([person(0, -1, 2.0), person(1, 3, 2.0)]))
    assert first[0, 0] == 10 and not first[1].any()


def test_without_a_person_the_first_of_each_joint_is_taken() -> None:
    assert choose_peaks(CANDIDATES, np.zeros((0, 20)))[:2, 0].tolist() == [10, 30]
    mixed = choose_peaks(CANDIDATES, np.array([person(1, 3, 2.0)]), "deepfashion")
    assert mixed[:2, 0].tolist() == [10, 30]
    with pytest.raises(BenchError, match="no person was detected"):
        choose_peaks(CANDIDATES, np.zeros((0, 20)), "deepfashion")


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize(("rule", "name"), [("market", "market"), ("deepfashion", "df")])
def test_official_choices(parity: Path, case: int, rule: Rule, name: str) -> None:
    file = load_file(parity / "pg2_valid_peaks.safetensors")
    candidates, persons = file[f"input/cand_{case}"], file[f"input/subset_{case}"]
    expected = file[f"output/{name}_{case}"]
    if (expected == -2).all():
        with pytest.raises(BenchError):
            choose_peaks(candidates, persons, rule)
        return
    pose = choose_peaks(candidates, persons, rule)
    np.testing.assert_array_equal(np.where(pose[:, 2:] > 0, pose[:, :2], -1), expected)
