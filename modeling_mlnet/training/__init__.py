"""Training: recipe, Trainer, augmentation, distillation, checkpoints, report and model card of a run."""
