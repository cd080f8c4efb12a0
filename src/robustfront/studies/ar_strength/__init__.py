"""S003: what adversarial robustness of a given strength does to a network."""
