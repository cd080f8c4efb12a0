"""The training loop, schedules, weight averaging, checkpoints and provenance."""
