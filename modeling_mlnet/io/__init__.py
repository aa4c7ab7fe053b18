"""Helpers that every room uses: writing files, progress, overlays, figures."""
