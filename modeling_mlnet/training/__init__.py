"""Training: recipe, data, Trainer, resuming, the run's card."""
