"""Training with a frozen backbone: features once, the head to convergence."""
