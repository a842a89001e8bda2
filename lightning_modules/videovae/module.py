from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.videovae.frames import check_size
from lightning_modules.videovae.gaussian import kl_divergence
from lightning_modules.videovae.initial import Init, init_weights
from lightning_modules.videovae.labels import check_classes, check_known, labelled_clips
from lightning_modules.videovae.networks import Rollout, VideoVAENetwork


class VideoVAE(Method):
    """VideoVAE (He, Lehrmann, Marino, Mori, Sigal, ECCV 2018, arXiv 1803.08085).

    RECONSTRUCTED: no code was released, and beyond the abstract the paper was not read. The layers are those of a
    public re-implementation; its defects are left out. See docs/methods/videovae.md for what comes from where.

    Args:
        size: height and width of the frames, 64 or 32.
        channels: C of the frames.
        frames: T of the training clips; sampled clips may be longer (`sample --frames`).
        attributes: the holistic attributes, constant over a clip, by their name in `batch["attributes"]`, with how
            many classes each has; {} for a model without.
        labelled: share of the training clips whose labels are seen, above 0 and at most 1. The attributes of the
            others are what the classifier infers.
        label_seed: of the choice of labelled clips, whatever the run's seed.
        conditional_sampling: whether a frame's posterior and prior depend on the frames before it.
        generate_from: `attributes` alone, or the `first_frame` (all frames of `context`) too.
        attributes_from: whether `sample` takes the attributes `given` by the batch, or those `inferred` from the
            context by the classifier; the latter with `first_frame` only.
        stages: `joint` trains everything at once; `two` trains encoder and classifier alone on single frames for
            `classifier_steps`, then the rest with both frozen, as the re-implementation does.
        classifier_steps: of the first stage; read with `two` only.
        classifier_lr: of the first stage; read with `two` only.
        reconstruction: `l1` or `mse`, absolute or squared differences.
        reduction: of the loss: `mean` divides the sum by the number of pixel values, so that it does not depend on the
            batch; `sum` is the re-implementation's. Both balance reconstruction and KL alike.
        kl_weight: of the KL divergence between posterior and prior; 1 is the evidence bound of a Laplace distribution
            of scale 1 (`l1`), or a Gaussian of variance 1/2 (`mse`), around each pixel value.
        classifier_weight: of the cross entropy of labelled clips, which is a mean over them, their frames and the
            attributes.
        widths: channels of the encoder's four convolutions; the decoder mirrors them.
        dim_z: of a frame's code.
        dim_features: of what the encoder says of a frame.
        dim_state: of the LSTM.
        dim_frame: of the hidden layers next to the convolutions.
        dim_hidden: of all other hidden layers.
        dropout: probability of dropping a map of the encoder's last.
        init: see `initial.init_weights`; `he` is ours, under `small`, the re-implementation's, the first gradients
            hardly reach the encoder where everything is trained at once.
        lr: of Adam.
    """

    generator: VideoVAENetwork
    size: int
    any_length = True
    labelled_clips: Tensor

    def __init__(
        self,
        size: int = 64,
        channels: int = 3,
        frames: int = 10,
        attributes: dict[str, int] | None = None,
        labelled: float = 1.0,
        label_seed: int = 0,
        conditional_sampling: bool = True,
        generate_from: Literal["attributes", "first_frame"] = "attributes",
        attributes_from: Literal["given", "inferred"] = "given",
        stages: Literal["joint", "two"] = "joint",
        classifier_steps: int = 0,
        classifier_lr: float = 1e-3,
        reconstruction: Literal["l1", "mse"] = "l1",
        reduction: Literal["mean", "sum"] = "mean",
        kl_weight: float = 1.0,
        classifier_weight: float = 1.0,
        widths: tuple[int, int, int, int] = (10, 20, 40, 80),
        dim_z: int = 512,
        dim_features: int = 512,
        dim_state: int = 512,
        dim_frame: int = 1024,
        dim_hidden: int = 128,
        dropout: float = 0.5,
        init: Init = "he",
        lr: float = 1e-4,
    ) -> None:
        super().__init__()
        check_size(size, widths)
        # Sorted: configs that list the same attributes in another order are the same model.
        self.classes = dict(sorted((attributes or {}).items()))
        _check(self.classes, labelled, generate_from, attributes_from, stages, classifier_steps)
        for name, weight in (("kl_weight", kl_weight), ("classifier_weight", classifier_weight)):
            if weight < 0:
                raise BenchError(f"model.init_args.{name} must be at least 0, found {weight}")
        self.size, self.channels, self.frames = size, channels, frames
        self.labelled, self.label_seed, self.generate_from = labelled, label_seed, generate_from
        self.attributes_from, self.stages, self.classifier_steps = attributes_from, stages, classifier_steps
        self.classifier_lr, self.lr, self.reconstruction, self.reduction = classifier_lr, lr, reconstruction, reduction
        self.kl_weight, self.classifier_weight = kl_weight, classifier_weight
        self.generator = VideoVAENetwork(
            size,
            channels,
            self.classes,
            conditional_sampling,
            widths,
            dim_z,
            dim_features,
            dim_state,
            dim_frame,
            dim_hidden,
            dropout,
        )
        init_weights(self.generator, init)
        # 1 for each training clip whose labels are seen: follows from the data, so it is in no checkpoint.
        self.register_buffer("labelled_clips", torch.empty(0), persistent=False)

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Clips; labels of the attributes; the frames that are given."""
        keys = {"video"} | ({"attributes"} if init_args.get("attributes") else set())
        return frozenset(keys | ({"context"} if init_args.get("generate_from") == "first_frame" else set()))

    def check_data(self, data: ClipData) -> None:
        """See `Method.check_data`; also labels that do not fit. Chooses the clips whose labels are seen."""
        super().check_data(data)
        check_classes(data, self.classes)
        self.labelled_clips = labelled_clips(data, self.classes, self.labelled, self.label_seed)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One Adam; with two stages encoder and classifier have the first one's learning rate."""
        early = [p for network in self._first_stage() for p in network.parameters()]
        chosen = {id(p) for p in early}
        late = [p for p in self.generator.parameters() if id(p) not in chosen]
        first: dict[str, Any] = {"params": early, "lr": self.classifier_lr if self.stages == "two" else self.lr}
        return torch.optim.Adam([first, {"params": late}], self.lr)

    def training_step(self, batch: VideoBatch, batch_idx: int) -> Tensor:
        """The loss of one batch of clips."""
        video = batch["video"]  # B C T H W
        labelled = self.labelled_clips[batch["index"]]  # B
        if self.in_first_stage:
            logits = self.generator.classify(self.generator.encode(video))
            losses = {"classifier": self.classifier_loss(logits, batch, labelled)}
        else:
            eps = torch.randn(len(video), video.shape[2], self.generator.dim_z, device=self.device)
            given = self.one_hots(batch.get("attributes", {}), len(video))
            rollout = self.generator(video, given, labelled, eps, frozen_encoder=self.stages == "two")
            losses = self.losses(rollout, batch, labelled)
        self.log_dict({f"train/{name}": loss.detach() for name, loss in losses.items()})
        return torch.stack(list(losses.values())).sum()

    @property
    def in_first_stage(self) -> bool:
        """Whether this step trains encoder and classifier alone."""
        return self.stages == "two" and self.global_step < self.classifier_steps

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Frozen is frozen: BatchNorm's statistics stay, and no map is dropped."""
        if self.stages == "two" and not self.in_first_stage:
            for network in self._first_stage():
                network.eval()

    def losses(self, rollout: Rollout, batch: VideoBatch, labelled: Tensor) -> dict[str, Tensor]:
        """What is minimised, by name, weighted.

        Args:
            rollout: of the clips.
            batch: `video` B C T H W and, with attributes, their labels.
            labelled: B, 1 where the labels are seen.
        """
        difference = rollout.video.float() - batch["video"].float()
        distance = difference.abs() if self.reconstruction == "l1" else difference.square()
        kl = kl_divergence(rollout.posterior, rollout.prior)  # B T
        scale = 1 / distance.numel() if self.reduction == "mean" else 1.0
        losses = {"reconstruction": scale * distance.sum(), "kl": self.kl_weight * scale * kl.sum()}
        if self.classes and self.stages == "joint":
            losses["classifier"] = self.classifier_weight * self.classifier_loss(rollout.logits, batch, labelled)
        return losses

    def classifier_loss(self, logits: Mapping[str, Tensor], batch: VideoBatch, labelled: Tensor) -> Tensor:
        """Cross entropy of every frame with its clip's labels: mean over labelled clips, frames and attributes.

        0 in a batch without a labelled clip.

        Args:
            logits: by attribute, B T classes.
            labelled: B, 1 where the labels are seen.
        """
        every = []
        for name, of in logits.items():
            wanted = batch["attributes"][name][:, None].expand(-1, of.shape[1])  # B T
            every.append(F.cross_entropy(of.float().flatten(0, 1), wanted.flatten(), reduction="none"))
        per_clip = torch.stack(every).unflatten(1, (len(labelled), -1)).mean((0, 2))  # B
        return (per_clip * labelled).sum() / labelled.sum().clamp_min(1)

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Clips of `self.frames` frames, drawn frame by frame from the prior.

        With `first_frame` they go on from `batch["context"]`, whose frames are copied in.
        """
        return self.control(batch, noise, {})

    @property
    def controls(self) -> Mapping[str, int]:
        """See `Method.controls`."""
        return self.classes

    @torch.no_grad()
    def control(self, batch: VideoBatch, noise: ClipNoise, wanted: Mapping[str, Tensor]) -> Tensor:
        """See `Method.control`: attributes may change at any frame, for any number of them."""
        g, clips = self.generator, len(noise)
        eps = noise.normal(self.frames, g.dim_z, device=self.device)
        context = batch["context"].to(self.device) if self.generate_from == "first_frame" else None
        if context is None:
            context = eps.new_empty(clips, self.channels, 0, self.size, self.size)
        context = context[:, :, : self.frames]
        if self.attributes_from == "inferred":
            own = g.inferred(g.classify(g.encode(context)), eps)
        else:
            free = {name: of for name, of in self.classes.items() if name not in wanted or (wanted[name] < 0).any()}
            check_known(batch, free)
            set_anyway = {name: eps.new_zeros(clips, dtype=torch.int64) for name in self.classes}
            own = self.one_hots(
                {**set_anyway, **{name: batch["attributes"][name].to(self.device) for name in free}}, clips
            )
        attributes = list(own[:, None].expand(-1, self.frames, -1).split(list(self.classes.values()), 2))  # B T classes
        for i, (name, count) in enumerate(self.classes.items()):
            if name in wanted:
                asked = wanted[name].to(self.device)  # B T
                hot = F.one_hot(asked.clamp_min(0), count).float()
                attributes[i] = torch.where(asked[..., None] < 0, attributes[i], hot)
        every = torch.cat(attributes, 2) if attributes else eps[..., :0]  # B T A
        return g.generate(every, eps, context).float()

    def requested(self, batch: VideoBatch, noise: ClipNoise) -> Mapping[str, Tensor]:
        """The attributes that the batch gives; none where they are inferred."""
        if self.attributes_from == "inferred":
            return {}
        return {name: batch["attributes"][name] for name in self.classes}

    def one_hots(self, labels: Mapping[str, Tensor], clips: int) -> Tensor:
        """B A float32: one-hots of the labels, each B int64, attribute after attribute; B 0 without attributes."""
        hot = [F.one_hot(labels[name], count) for name, count in self.classes.items()]
        return torch.cat(hot, 1).float() if hot else torch.empty(clips, 0, device=self.device)

    def _first_stage(self) -> list[torch.nn.Module]:
        return [n for n in (self.generator.encoder, self.generator.classifier) if n is not None]


def _check(
    classes: Mapping[str, int],
    labelled: float,
    generate_from: str,
    attributes_from: str,
    stages: str,
    classifier_steps: int,
) -> None:
    """Raises `BenchError` for arguments that do not go together."""
    few = [f"{name}: {count}" for name, count in classes.items() if count < 2]
    if few:
        raise BenchError(f"model.init_args.attributes needs at least 2 classes of each, found {few[0]}")
    if classes and not 0 < labelled <= 1:
        raise BenchError(
            f"model.init_args.labelled must lie in (0, 1], found {labelled}: without a labelled clip the classes mean "
            "nothing to the data; set attributes to {} for a model without"
        )
    if attributes_from == "inferred" and not (classes and generate_from == "first_frame"):
        raise BenchError(
            "model.init_args.attributes_from inferred needs attributes, and generate_from first_frame to infer them "
            f"from; found generate_from {generate_from} and {len(classes)} attributes"
        )
    if (stages == "two") != (classifier_steps > 0) or classifier_steps < 0:
        raise BenchError(
            "model.init_args.classifier_steps must be at least 1 with stages two and 0 with stages joint, found "
            f"{classifier_steps} with {stages}"
        )
    if stages == "two" and not classes:
        raise BenchError("model.init_args.stages two trains a classifier of attributes first, and attributes is {}")
