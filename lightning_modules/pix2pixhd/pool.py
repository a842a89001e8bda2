import torch
from torch import Tensor


class ImagePool:
    """Fakes of earlier steps, some of which the discriminator sees again in place of new ones.

    Until it is full it keeps and returns what comes. Then each fake is, with probability 1/2, exchanged for a
    kept one. Fakes of another size than those before, as a new stage makes them, begin anew.

    Args:
        size: fakes kept; 0 returns what comes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[Tensor] = []

    def exchange(self, fakes: Tensor) -> Tensor:
        """N C H W -> as many, some of earlier steps. Draws from torch's global CPU generator."""
        if not self.size:
            return fakes
        if self.kept and self.kept[0].shape != fakes.shape[1:]:
            self.kept = []
        out = []
        for fake in fakes.detach():
            if len(self.kept) < self.size:
                self.kept.append(fake.clone())
                out.append(fake)
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(self.size, ()))
                out.append(self.kept[place])
                self.kept[place] = fake.clone()
            else:
                out.append(fake)
        return torch.stack(out)
