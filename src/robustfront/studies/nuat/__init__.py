"""S004: nuclear norm adversarial training."""
