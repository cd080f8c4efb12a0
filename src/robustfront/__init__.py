"""Reproducible adversarial training, attack and comparison of robust networks."""

__version__ = "0.1.0"
