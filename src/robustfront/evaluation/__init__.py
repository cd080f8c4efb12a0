"""Attacks on trained models: a verdict per image, gradient-masking checks, statistics.

`session`, `evaluate` and `masking` run models; `outcomes`, `comparisons` and `statistics` work on their
results and import no torch.
"""
