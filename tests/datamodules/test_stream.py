from itertools import islice

import numpy as np
import pytest

from datamodules.stream import Steps, draws, keyed_rng, permutation, steps_per_epoch


@pytest.mark.parametrize("world", [2, 4, 8])
def test_ranks_share_out_what_one_process_reads(world: int) -> None:
    for step in (0, 1, 7, 1000):
        alone = draws(step, items=50, batch=32, seed=3, stream="clips")
        shared = [draws(step, items=50, batch=32, seed=3, stream="clips", rank=r, world=world) for r in range(world)]
        assert [len(part) for part in shared] == [32 // world] * world
        assert sorted(d for part in shared for d in part) == alone
        assert [d.position for d in alone] == list(range(32)) and {d.step for d in alone} == {step}


@pytest.mark.parametrize(("items", "batch"), [(50, 32), (32, 32), (7, 3), (5, 32), (1, 4)])
def test_every_item_is_read_once_before_any_is_read_again(items: int, batch: int) -> None:
    read = [d.item for step in range(3 * items) for d in draws(step, items=items, batch=batch, seed=0, stream="clips")]
    passes = np.array(read[: len(read) // items * items]).reshape(-1, items)
    np.testing.assert_array_equal(np.sort(passes, axis=1), np.tile(np.arange(items), (len(passes), 1)))
    if items > 5:
        assert len(np.unique(passes, axis=0)) > 1  # in another order each time


def test_seeds_and_streams_draw_differently() -> None:
    keys = [(0, "clips"), (1, "clips"), (0, "frames")]
    read = [tuple(d.item for d in draws(0, items=1000, batch=32, seed=s, stream=n)) for s, n in keys]
    assert len(set(read)) == 3


def test_items_are_equally_likely_at_each_place() -> None:
    first = [draws(0, items=4, batch=1, seed=seed, stream="clips")[0].item for seed in range(2000)]
    counts = np.bincount(first)
    assert ((counts - 500) ** 2 / 500).sum() < 16.3  # 3 degrees of freedom, p = 0.001


def test_a_key_is_its_values_whatever_their_type() -> None:
    draw = keyed_rng("a", 3, 7).random()
    assert draw == keyed_rng("a", np.int64(3), np.int32(7)).random()
    assert draw not in (keyed_rng("a", 37).random(), keyed_rng("a", "3", 7).random(), keyed_rng("b", 3, 7).random())


def test_draws_do_not_change_between_versions() -> None:
    # Runs that were interrupted under an older version go on with the clips that they would have read.
    assert permutation(10, 0, "clips", 0).tolist() == [9, 7, 3, 2, 1, 8, 5, 4, 6, 0]
    assert keyed_rng("window", 0, "clips", 0).random() == pytest.approx(0.9217871111993994, abs=1e-15)


def test_a_shared_order_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        permutation(10, 0, "clips", 0)[0] = 1


def test_steps_start_where_the_run_is_when_they_are_iterated() -> None:
    at = [0]
    steps = Steps(lambda: at[0])
    at[0] = 5
    assert list(islice(iter(steps), 3)) == [5, 6, 7]


def test_an_epoch_is_rounded_up() -> None:
    assert [steps_per_epoch(n, 32) for n in (1, 32, 33, 4000)] == [1, 1, 2, 125]
