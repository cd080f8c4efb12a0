"""S000: null-space projected adversarial training."""
