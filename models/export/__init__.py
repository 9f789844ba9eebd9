"""Checkpoints of diffusers, and modules of one's own, as bundles: `python -m models.export --help`."""
