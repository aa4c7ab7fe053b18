"""Checkpoints: names, download, loading, publishing, model cards."""
