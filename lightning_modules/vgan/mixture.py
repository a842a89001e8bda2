import warnings

import torch
from torch import Tensor, nn

from datamodules.errors import BenchError


class Mixture(nn.Module):
    """A mixture of Gaussians with diagonal covariances, N(0, I) until it is fitted.

    Args:
        components: how many.
        dim: of the space.
    """

    weights: Tensor
    means: Tensor
    deviations: Tensor

    def __init__(self, components: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, dim))
        self.register_buffer("deviations", torch.ones(components, dim))

    def fit(self, points: Tensor, seed: int = 0) -> None:
        """Expectation maximisation from k-means, by scikit-learn.

        Args:
            points: N dim.
            seed: of the start.

        Raises:
            BenchError: scikit-learn is missing, there are fewer points than components, or they are not finite.
        """
        try:
            from sklearn.exceptions import ConvergenceWarning
            from sklearn.mixture import GaussianMixture
        except ModuleNotFoundError as error:
            raise BenchError("a Gaussian mixture needs scikit-learn: pip install 'reelbench[mixture]'") from error
        components = len(self.weights)
        if len(points) < components or not points.isfinite().all():
            raise BenchError(
                f"a mixture of {components} Gaussians needs as many finite points, found {len(points)}, "
                f"{int(points.isfinite().all(1).sum())} of them finite"
            )
        model = GaussianMixture(components, covariance_type="diag", random_state=seed)
        with warnings.catch_warnings():
            # Codes of an untrained encoder lie closer together than there are components.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(points.double().cpu().numpy())
        for name, value in (
            ("weights", model.weights_),
            ("means", model.means_),
            ("deviations", model.covariances_**0.5),
        ):
            buffer = self.get_buffer(name)
            buffer.copy_(torch.from_numpy(value).to(buffer))

    def forward(self, uniform: Tensor, normal: Tensor) -> Tensor:
        """Draws B points.

        Args:
            uniform: B from U[0, 1); it chooses the component.
            normal: B dim from N(0, 1).
        """
        edges = self.weights.cumsum(0).to(uniform.device)
        chosen = torch.searchsorted(edges, uniform.contiguous(), right=True).clamp_max(len(edges) - 1)
        return self.means.to(normal.device)[chosen] + self.deviations.to(normal.device)[chosen] * normal
