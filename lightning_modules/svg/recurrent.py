from typing import NamedTuple

import torch
from torch import Tensor, nn

State = list[tuple[Tensor, Tensor]]  # h and c of each layer, each B rnn_size


class Gaussian(NamedTuple):
    """Independent normal distributions.

    Attributes:
        mean: B T z_dim.
        logvar: logarithm of the variances, B T z_dim.
    """

    mean: Tensor
    logvar: Tensor

    def at(self, eps: Tensor) -> Tensor:
        """What draws `eps` from N(0, I) become, B T z_dim."""
        return self.mean + (0.5 * self.logvar).exp() * eps


class _Recurrent(nn.Module):
    """A linear layer and LSTM cells. States start at zero for each sequence."""

    def __init__(self, inputs: int, rnn_size: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, rnn_size)
        self.lstm = nn.ModuleList(nn.LSTMCell(rnn_size, rnn_size) for _ in range(layers))

    def scan(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """B T inputs -> B T rnn_size, and the state behind the last step; T may be 0."""
        x = self.embed(x)
        if state is None:
            zeros = x.new_zeros(len(x), x.shape[-1])
            state = [(zeros, zeros)] * len(self.lstm)
        after = []
        for cell, (h, c) in zip(self.lstm, state, strict=True):
            steps = []
            for step in x.unbind(1):
                h, c = cell(step, (h, c))
                steps.append(h)
            x = torch.stack(steps, 1) if steps else x
            after.append((h, c))
        return x, after


class Lstm(_Recurrent):
    """The frame predictor: inputs -> codes in (-1, 1).

    Args:
        inputs: length of an input.
        outputs: length of a code.
        rnn_size: width.
        layers: LSTM cells on top of each other.
    """

    def __init__(self, inputs: int, outputs: int, rnn_size: int, layers: int) -> None:
        super().__init__(inputs, rnn_size, layers)
        self.output = nn.Sequential(nn.Linear(rnn_size, outputs), nn.Tanh())

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """B T inputs -> B T outputs, and the state to go on with."""
        x, state = self.scan(x, state)
        return self.output(x), state


class GaussianLstm(_Recurrent):
    """Posterior and learned prior: codes so far -> distribution of z.

    Args: of `Lstm`; `outputs` is the length of z.
    """

    def __init__(self, inputs: int, outputs: int, rnn_size: int, layers: int) -> None:
        super().__init__(inputs, rnn_size, layers)
        self.mu_net = nn.Linear(rnn_size, outputs)
        self.logvar_net = nn.Linear(rnn_size, outputs)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Gaussian, State]:
        """B T inputs -> distributions B T outputs, and the state to go on with."""
        x, state = self.scan(x, state)
        return Gaussian(self.mu_net(x), self.logvar_net(x)), state
