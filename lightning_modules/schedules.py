import lightning as L


def tail_decay(step: int, steps: int, share: float) -> float:
    """Factor of a learning rate that is constant first and then falls linearly, to reach 0 behind the last step.

    Args:
        step: steps done, from 0.
        steps: the budget.
        share: of the budget over which the rate falls; 0 for never.
    """
    tail = share * steps
    return min(1.0, (steps - step) / tail) if tail else 1.0


def set_rates(module: L.LightningModule, rate: float) -> None:
    """Gives every optimizer of the module this learning rate.

    Schedules of the bench are functions of the step alone, applied before it: nothing to save, and right after any
    resume.
    """
    optimizers = module.optimizers()
    for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
        for group in optimizer.param_groups:
            group["lr"] = rate
