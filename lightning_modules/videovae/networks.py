from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lightning_modules.videovae.frames import FrameDecoder, FrameEncoder
from lightning_modules.videovae.gaussian import Gaussian, GaussianNet, stacked

State = tuple[Tensor, Tensor]  # h and c of the LSTM, each B dim_state


class Rollout(NamedTuple):
    """What a training step looks at.

    Attributes:
        video: B C T H W in [-1, 1], the reconstruction.
        posterior, prior: B T Z, of the codes.
        logits: by attribute, B T classes.
    """

    video: Tensor
    posterior: Gaussian
    prior: Gaussian
    logits: dict[str, Tensor]


class Classifier(nn.Module):
    """One hidden layer and a head an attribute: ... dim_features -> by attribute, ... classes (logits)."""

    def __init__(self, dim_features: int, dim_hidden: int, classes: Mapping[str, int]) -> None:
        super().__init__()
        self.hidden = nn.Linear(dim_features, dim_hidden)
        self.heads = nn.ModuleDict({name: nn.Linear(dim_hidden, count) for name, count in classes.items()})

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """See the class."""
        hidden = self.hidden(features).relu()
        return {name: head(hidden) for name, head in self.heads.items()}


class Past(nn.Module):
    """What posterior and prior see of the past, psi: B dim_state -> B dim_state, one hidden layer."""

    def __init__(self, dim_state: int, dim_hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(dim_state, dim_hidden)
        self.out = nn.Linear(dim_hidden, dim_state)

    def forward(self, h: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.out(self.hidden(h).relu())
        return out


class VideoVAENetwork(nn.Module):
    """A VAE a frame, whose posterior and prior are conditioned on attributes of the clip and on the past (B.1-B.5).

    The posterior of a frame is a chain of refinements, of which only the last is drawn from:
    phi_q = f_q(Enc x_t), phi_a = f_a(phi_q, a), phi_dy = f_dy(phi_a, psi(h_{t-1})). The prior is f_p(psi(h_{t-1}), a).
    The past is an LSTM over [z_t, phi_q], which starts at zeros in training and in sampling alike. The decoder sees
    z_t alone.

    Args:
        size: height and width of the frames, 64 or 32.
        channels: C.
        classes: of each attribute; their one-hots or probabilities are concatenated in this order. Empty leaves f_a
            and the classifier out.
        conditional: whether posterior and prior see the past; without, f_dy, psi and the LSTM are left out.
        widths: channels of the encoder's four convolutions.
        dim_z, dim_features, dim_state: of z, Enc x and h.
        dim_frame: of the hidden layers between maps and features.
        dim_hidden: of all other hidden layers.
        dropout: probability of dropping a map of the encoder's last.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        classes: Mapping[str, int],
        conditional: bool,
        widths: tuple[int, ...],
        dim_z: int,
        dim_features: int,
        dim_state: int,
        dim_frame: int,
        dim_hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.dim_z, self.dim_state, known = dim_z, dim_state, sum(classes.values())
        self.encoder = FrameEncoder(size, channels, widths, dim_frame, dim_features, dropout)
        self.decoder = FrameDecoder(size, channels, widths, dim_frame, dim_z)
        self.classifier = Classifier(dim_features, dim_hidden, classes) if classes else None
        self.of_frame = GaussianNet(dim_features, dim_hidden, dim_z)  # f_q
        self.of_attributes = GaussianNet(2 * dim_z + known, dim_hidden, dim_z) if classes else None  # f_a
        self.of_dynamics: GaussianNet | None = None  # f_dy
        self.past: Past | None = None  # psi
        self.lstm: nn.LSTMCell | None = None
        if conditional:
            self.of_dynamics = GaussianNet(2 * dim_z + dim_state, dim_hidden, dim_z)
            self.past = Past(dim_state, dim_hidden)
            self.lstm = nn.LSTMCell(3 * dim_z, dim_state)
        sees = known + (dim_state if conditional else 0)
        self.of_prior = GaussianNet(sees, dim_hidden, dim_z) if sees else None  # f_p

    def classify(self, features: Tensor) -> dict[str, Tensor]:
        """B T dim_features -> by attribute, B T classes; {} without attributes."""
        logits: dict[str, Tensor] = self.classifier(features) if self.classifier is not None else {}
        return logits

    def encode(self, video: Tensor) -> Tensor:
        """B C T H W -> B T dim_features."""
        frames = video.transpose(1, 2)  # B T C H W
        features: Tensor = self.encoder(frames.flatten(0, 1))
        return features.unflatten(0, frames.shape[:2])

    def decode(self, z: Tensor) -> Tensor:
        """B T Z -> B C T H W."""
        frames: Tensor = self.decoder(z.flatten(0, 1))
        return frames.unflatten(0, z.shape[:2]).transpose(1, 2)

    def posterior(self, frame: Gaussian, attributes: Tensor, past: Tensor | None) -> Gaussian:
        """phi_dy: what is known of a frame's code given its picture, the attributes and the past.

        Args:
            frame: phi_q, ... Z.
            attributes: ... A, one-hots or probabilities.
            past: ... dim_state, psi(h) of the frame before; None without conditioning.
        """
        if self.of_attributes is not None:
            frame = self.of_attributes(*frame, attributes)
        if self.of_dynamics is not None:
            assert past is not None
            frame = self.of_dynamics(*frame, past)
        return frame

    def prior(self, attributes: Tensor, past: Tensor | None) -> Gaussian:
        """phi_p: the same before the picture is seen; N(0, I) where there is nothing to see."""
        if self.of_prior is None:
            zeros = attributes.new_zeros(*attributes.shape[:-1], self.dim_z)
            return Gaussian(zeros, zeros)
        out: Gaussian = self.of_prior(attributes) if past is None else self.of_prior(past, attributes)
        return out

    def start(self, clips: Tensor) -> State:
        """State before the first frame: zeros for each of the clips (any tensor with B first)."""
        zeros = clips.new_zeros(len(clips), self.dim_state)
        return zeros, zeros

    def forward(
        self, video: Tensor, given: Tensor, labelled: Tensor, eps: Tensor, frozen_encoder: bool = False
    ) -> Rollout:
        """Reconstructs clips, frame after frame, with posterior and prior of each.

        Args:
            video: B C T H W in [-1, 1].
            given: B A, the labels as one-hots in the order of `classes`.
            labelled: B, 1 where they are known; elsewhere the classifier's probabilities, their mean over the clip,
                take their place.
            eps: B T Z from N(0, I).
            frozen_encoder: no gradient reaches encoder and classifier.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen_encoder):
            features = self.encode(video)
            logits = self.classify(features)
        known = labelled[:, None]
        attributes = torch.where(known > 0, given, self.inferred(logits, given))[:, None].expand(-1, eps.shape[1], -1)
        frames: Gaussian = self.of_frame(features)  # B T Z
        if self.lstm is None:
            posterior = self.posterior(frames, attributes, None)
            return Rollout(self.decode(posterior.draw(eps)), posterior, self.prior(attributes, None), logits)
        assert self.past is not None
        state, codes, steps, pasts = self.start(eps), [], [], []
        for t in range(eps.shape[1]):
            past = self.past(state[0])
            frame = Gaussian(frames.mu[:, t], frames.logvar[:, t])
            step = self.posterior(frame, attributes[:, t], past)
            z = step.draw(eps[:, t])
            state = self.lstm(torch.cat([z, *frame], 1), state)
            codes.append(z)
            steps.append(step)
            pasts.append(past)
        prior = self.prior(attributes, torch.stack(pasts, 1))
        return Rollout(self.decode(torch.stack(codes, 1)), stacked(steps), prior, logits)

    @staticmethod
    def inferred(logits: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """B A: each attribute's probabilities, their mean over the clip's frames; `like` (B 0) without attributes."""
        means = [of.float().softmax(-1).mean(1) for of in logits.values()]
        return torch.cat(means, 1) if means else like

    def generate(self, attributes: Tensor, eps: Tensor, context: Tensor) -> Tensor:
        """Clips that go on from `context`: B C T H W in [-1, 1].

        Frames of the context come back as they are; their codes are drawn from the posterior, those of later frames
        from the prior. As in training the LSTM reads z_t with phi_q of the frame at t: for a frame that was decoded
        from z_t, of this very frame, in the range in which it was decoded.

        Args:
            attributes: B T A, which may change from frame to frame.
            eps: B T Z from N(0, I).
            context: B C K H W with K in 0..T.
        """
        known = context.shape[2]
        if self.lstm is None:
            prior = self.prior(attributes, None)
            return torch.cat([context, self.decode(prior.draw(eps)[:, known:])], 2)
        assert self.past is not None
        state, frames = self.start(eps), []
        for t in range(eps.shape[1]):
            past = self.past(state[0])
            if t < known:
                picture = context[:, :, t]
                frame = self.of_frame(self.encoder(picture))
                z = self.posterior(frame, attributes[:, t], past).draw(eps[:, t])
            else:
                z = self.prior(attributes[:, t], past).draw(eps[:, t])
                picture = self.decoder(z)
                frame = self.of_frame(self.encoder(picture))
            state = self.lstm(torch.cat([z, *frame], 1), state)
            frames.append(picture)
        return torch.stack(frames, 2)
