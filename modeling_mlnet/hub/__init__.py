"""Checkpoints: their names, their download, loading and publishing."""
