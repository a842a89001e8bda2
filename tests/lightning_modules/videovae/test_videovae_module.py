import copy
from collections.abc import Callable
from typing import Any

import lightning as L
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.base import ClipData
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise
from lightning_modules.videovae.gaussian import kl_divergence
from lightning_modules.videovae.labels import labelled_clips
from lightning_modules.videovae.module import VideoVAE
from lightning_modules.videovae.networks import VideoVAENetwork
from tests.lightning_modules.videovae.videovae_model import labelled, lively, tiny

Data = Callable[..., ClipData]
TrainerFactory = Callable[..., L.Trainer]


def clips(*category: int) -> dict[str, Any]:
    """A training batch."""
    torch.manual_seed(1)
    video = torch.rand(len(category), 3, 5, 32, 32) * 2 - 1
    return {"video": video, "index": torch.arange(len(category)), **labelled(*category)}


def rolled(model: VideoVAE, batch: dict[str, Any], seen: Tensor) -> Any:
    given = model.one_hots(batch["attributes"], len(seen))
    return model.generator(batch["video"], given, seen, torch.zeros(len(seen), 5, 6))


@pytest.mark.parametrize("reconstruction", ["l1", "mse"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_by_hand(reconstruction: Any, reduction: Any) -> None:
    model = lively(reconstruction=reconstruction, reduction=reduction, kl_weight=0.5, classifier_weight=3.0)
    batch, seen = clips(2, 0, 1), torch.tensor([1.0, 0.0, 1.0])
    rollout = rolled(model, batch, seen)
    found = {name: float(loss.detach()) for name, loss in model.losses(rollout, batch, seen).items()}  # type: ignore[arg-type]
    difference = (rollout.video - batch["video"]).detach().double().numpy()
    distance = abs(difference).sum() if reconstruction == "l1" else (difference**2).sum()
    values: int = 3 * 5 * 3 * 32 * 32 if reduction == "mean" else 1
    entropies = [-rollout.logits["category"].log_softmax(-1)[i, t, c] for i, c in ((0, 2), (2, 1)) for t in range(5)]
    assert found == pytest.approx(
        {
            "reconstruction": distance / values,
            "kl": 0.5 * float(kl_divergence(rollout.posterior, rollout.prior).sum()) / values,
            "classifier": 3 * float(torch.stack(entropies).mean()),
        },
        rel=1e-4,
    )


def test_mean_losses_do_not_depend_on_the_batch() -> None:
    batch, twice, model = clips(2, 0), clips(2, 0), lively()
    twice["video"] = batch["video"].repeat(2, 1, 1, 1, 1)
    twice["attributes"] = {"category": batch["attributes"]["category"].repeat(2)}
    once = model.losses(rolled(model, batch, torch.ones(2)), batch, torch.ones(2))  # type: ignore[arg-type]
    again = model.losses(rolled(model, twice, torch.ones(4)), twice, torch.ones(4))  # type: ignore[arg-type]
    assert {k: float(v) for k, v in once.items()} == pytest.approx({k: float(v) for k, v in again.items()}, rel=1e-4)


def test_a_clip_without_labels_gives_no_cross_entropy() -> None:
    model, batch = lively(), clips(2, 0, 1)
    logits = {"category": torch.randn(3, 5, 3, requires_grad=True)}
    model.classifier_loss(logits, batch, torch.tensor([1.0, 0.0, 1.0])).backward()  # type: ignore[arg-type]
    gradient = logits["category"].grad
    assert gradient is not None and not gradient[1].any() and gradient[0].any() and gradient[2].any()
    nothing = model.classifier_loss(logits, batch, torch.zeros(3))  # type: ignore[arg-type]
    assert float(nothing) == 0


def test_labels_that_are_not_seen_change_nothing() -> None:
    """Whatever the label of an unlabelled clip, losses and reconstruction are the same; of a labelled one, not."""
    model = lively()
    for seen, same in ((torch.tensor([1.0, 0.0]), True), (torch.ones(2), False)):
        one, two = (rolled(model, clips(1, label), seen) for label in (0, 2))
        assert torch.equal(one.posterior.mu[1], two.posterior.mu[1]) == same
        assert torch.equal(one.posterior.mu[0], two.posterior.mu[0])


def test_inferred_attributes_are_the_clip_s_mean_probabilities() -> None:
    model = lively(attributes={"category": 3, "subject": 2})
    logits = {"category": torch.randn(2, 5, 3), "subject": torch.randn(2, 5, 2)}
    found = VideoVAENetwork.inferred(logits, torch.empty(2, 0))
    by_hand = torch.cat([F.softmax(logits[name], 2).sum(1) / 5 for name in model.classes], 1)
    torch.testing.assert_close(found, by_hand)
    seen: list[Tensor] = []
    assert model.generator.of_attributes is not None
    model.generator.of_attributes.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[2]))
    batch = clips(1, 0)
    rollout = model.generator(batch["video"], torch.eye(5)[:2], torch.tensor([0.0, 1.0]), torch.zeros(2, 5, 6))
    used = torch.stack(seen, 1)  # B T A, one call a frame
    torch.testing.assert_close(used[0], VideoVAENetwork.inferred(rollout.logits, used)[:1].expand(5, -1))
    torch.testing.assert_close(used[1], torch.eye(5)[1].expand(5, -1))
    rollout.posterior.mu[0].sum().backward()  # the classifier learns from what its guess did to an unlabelled clip
    assert all(p.grad is not None and p.grad.any() for p in model.generator.classifier.parameters())  # type: ignore


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_labelled_clips_are_a_fixed_share(squares: Data, share: float) -> None:
    data = squares(frames=5)
    mask = labelled_clips(data, {"category": 3}, share, seed=3)
    assert mask.shape == (6,) and mask.sum() == 6 * share and mask.dtype == torch.float32
    assert torch.equal(mask, labelled_clips(squares(frames=5, batch_size=2), {"category": 3}, share, seed=3))
    assert (mask <= labelled_clips(data, {"category": 3}, 1.0, seed=3)).all()
    others = [labelled_clips(data, {}, 0.5, seed=seed).tolist() for seed in range(8)]
    assert len({tuple(other) for other in others}) > 1


def test_the_labels_of_a_run_follow_the_clip_numbers(
    squares: Data, trainer: TrainerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every pass over the data the same clips are labelled, whatever the run's seed."""
    shown: dict[int, set[float]] = {}
    kept = VideoVAE.losses

    def losses(self: VideoVAE, rollout: Any, batch: Any, labelled: Tensor) -> dict[str, Tensor]:
        for index, seen in zip(batch["index"].tolist(), labelled.tolist(), strict=True):
            shown.setdefault(index, set()).add(seen)
        return kept(self, rollout, batch, labelled)

    monkeypatch.setattr(VideoVAE, "losses", losses)
    model = tiny(labelled=0.5, label_seed=3)
    for seed in (0, 1):
        L.seed_everything(seed, verbose=False)
        trainer(max_steps=5).fit(model, squares(frames=5))
    expected = labelled_clips(squares(frames=5), {"category": 3}, 0.5, seed=3)
    assert shown == {i: {float(seen)} for i, seen in enumerate(expected)}
    assert not any("labelled" in name for name in model.state_dict())


def test_data_that_do_not_fit(squares: Data, trainer: TrainerFactory) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"attributes": {"category": 2}}, "category has 2 classes, but .* run from 0 to 2; .* set category to 3"),
        ({"attributes": {"category": 4}}, "category has 4 classes, but .* set category to 3"),
        ({"attributes": {"subject": 3}}, "names subject, which squares lacks; it gives category"),
        ({"labelled": 0.2}, "labelled is 0.2: among the 1 labelled clips of squares none shows category"),
        ({"frames": 4}, "frames is 4, but"),
    ]
    for options, message in cases:
        with pytest.raises(BenchError, match=message):
            trainer(max_steps=1).fit(tiny(**options), squares(frames=5))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"labelled": 0.5, "label_seed": 3},
        {"attributes": {}},
        {"conditional_sampling": False},
        {"attributes": {}, "conditional_sampling": False, "reconstruction": "mse", "reduction": "sum"},
        {"dropout": 0.5},
    ],
)
def test_a_step_moves_every_parameter(squares: Data, trainer: TrainerFactory, options: dict[str, Any]) -> None:
    model = tiny(**options)
    before = copy.deepcopy(model.state_dict())
    run = trainer(max_steps=2)
    run.fit(model, squares(frames=5))
    assert run.global_step == 2 and all(v.isfinite() for v in run.callback_metrics.values())
    assert [name for name, p in model.named_parameters() if torch.equal(p, before[name])] == []


def test_batches_of_one_clip(squares: Data, trainer: TrainerFactory) -> None:
    """BatchNorm sees the frames, of which one clip has several."""
    run = trainer(max_steps=2)
    run.fit(tiny(labelled=0.5, label_seed=3), squares(frames=5, batch_size=1))
    assert run.global_step == 2 and all(v.isfinite() for v in run.callback_metrics.values())


def test_the_first_stage_trains_encoder_and_classifier(squares: Data, trainer: TrainerFactory) -> None:
    model = tiny(stages="two", classifier_steps=3, classifier_lr=0.01)
    before = copy.deepcopy(model.state_dict())
    run = trainer(max_steps=2)
    run.fit(model, squares(frames=5))
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    early = ("generator.encoder", "generator.classifier")
    assert moved == {name for name, _ in model.named_parameters() if name.startswith(early)}
    assert {name for name in run.callback_metrics if name.startswith("train/")} == {"train/classifier"}


def test_the_second_stage_leaves_the_first_alone(squares: Data, trainer: TrainerFactory) -> None:
    model, at_switch = tiny(stages="two", classifier_steps=2, dropout=0.5), {}

    class Keep(L.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            if trainer.global_step == 2:
                at_switch.update(copy.deepcopy(module.state_dict()))

    run = trainer(max_steps=5, callbacks=[Keep()])
    run.fit(model, squares(frames=5))
    after = model.state_dict()
    moved = {name for name, p in model.named_parameters() if not torch.equal(after[name], at_switch[name])}
    early = ("generator.encoder", "generator.classifier")
    assert moved == {name for name, _ in model.named_parameters() if not name.startswith(early)}
    still = [name for name in after if name.startswith(early)]
    assert all(torch.equal(after[name], at_switch[name]) for name in still)  # statistics of BatchNorm among them
    assert not model.generator.encoder.maps[-1].training and model.generator.decoder.training
    assert {"train/reconstruction", "train/kl"} <= set(run.callback_metrics)


def test_given_attributes_are_the_batch_s_and_steer_the_clip() -> None:
    model, index = lively(), torch.arange(2)
    one, two = (model.sample(labelled(0, c), ClipNoise(0, index)) for c in (1, 2))
    assert torch.equal(one[0], two[0]) and not torch.allclose(one[1], two[1], atol=1e-4)
    assert torch.equal(model.requested(labelled(1, 2), ClipNoise(0, index))["category"], torch.tensor([1, 2]))
    assert VideoVAE.needs(attributes={"category": 3}) == {"video", "attributes"}
    assert VideoVAE.needs(attributes={}, generate_from="first_frame") == {"video", "context"}


def test_attributes_change_later_frames_only() -> None:
    model, noise = lively(), [ClipNoise(0, torch.arange(2)) for _ in range(4)]
    plain = model.sample(labelled(0, 1), noise[0])
    wanted = torch.tensor([[-1, -1, -1, 2, 2]]).expand(2, -1)
    switched = model.control(labelled(0, 1), noise[1], {"category": wanted})
    assert torch.equal(switched[:, :, :3], plain[:, :, :3])
    assert not torch.isclose(switched[:, :, 3:], plain[:, :, 3:], atol=1e-4).flatten(3).all(3).any()
    # set at every frame: what the batch says is not read, nor need it be there
    every = {"category": torch.tensor([[0], [1]]).expand(-1, 5)}
    assert torch.equal(model.control({}, noise[2], every), plain)
    assert torch.equal(model.control(labelled(7, 7), noise[3], every), plain)
    assert model.controls == {"category": 3}


def test_going_on_from_the_first_frame() -> None:
    model = lively(generate_from="first_frame", attributes_from="inferred")
    context, index = clips(0, 1)["video"][:, :, :1], torch.arange(2)
    batch: Any = {"context": context}
    inferred = model.sample(batch, ClipNoise(0, index))
    assert torch.equal(inferred[:, :, :1], context) and inferred.shape[2] == 5
    assert model.requested(batch, ClipNoise(0, index)) == {}
    wanted = {"category": torch.tensor([[2], [2]]).expand(-1, 5)}
    given = model.control(batch, ClipNoise(0, index), wanted)
    assert torch.equal(given[:, :, :1], context) and not torch.allclose(given[:, :, 1:], inferred[:, :, 1:], atol=1e-4)
    model.attributes_from = "given"
    same = model.sample({**batch, **labelled(2, 2)}, ClipNoise(0, index))
    assert torch.equal(same, given)
    assert not torch.allclose(model.sample({**batch, **labelled(2, 2)}, ClipNoise(1, index))[:, :, 1], same[:, :, 1])


def test_longer_clips() -> None:
    model = lively()
    with model.at_length(9):
        assert model.sample(labelled(0, 1), ClipNoise(0, torch.arange(2))).shape == (2, 3, 9, 32, 32)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({}, r"was trained on the attributes category; the clips to sample for give no category"),
        (labelled(0, 3), "was trained on category 0 to 2; the clips to sample for show category 3"),
        (labelled(-1, 2), "show category -1"),
    ],
)
def test_clips_that_cannot_say_what_to_make(batch: Any, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        lively().sample(batch, ClipNoise(0, torch.arange(2)))


def test_the_order_of_attributes_in_a_config_means_nothing() -> None:
    one, two = (tiny(attributes=a) for a in ({"b": 2, "a": 3}, {"a": 3, "b": 2}))
    assert list(one.classes) == list(two.classes) == ["a", "b"]
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))


def test_the_start_keeps_the_size_of_what_passes_through() -> None:
    """Ten linear layers from a frame's maps to its decoded maps: `he` keeps the signal, `small` loses it."""
    spread = {}
    for init in ("he", "small"):
        torch.manual_seed(0)
        g = VideoVAE(size=32, frames=5, attributes={"category": 3}, init=init).generator.eval()
        frames = g.of_frame(torch.randn(64, 512))
        refined = g.posterior(frames, torch.eye(3)[torch.arange(64) % 3], torch.randn(64, 512))
        spread[init] = float(g.decoder.bottom(g.decoder.hidden(refined.mu).relu()).std(0).mean().detach())
        linear = [(n, p) for n, p in g.named_modules() if isinstance(p, torch.nn.Linear) and not n.endswith("logvar")]
        assert all(not layer.bias.any() for _, layer in linear)
    assert 0.2 < spread["he"] < 5 and spread["small"] < 1e-6
    small, hidden = g.of_frame.mu.weight, g.of_frame.hidden.weight
    assert float(small.std().detach()) == pytest.approx(0.001, rel=0.02)
    assert float(hidden.std().detach()) == pytest.approx(0.001, rel=0.02)
