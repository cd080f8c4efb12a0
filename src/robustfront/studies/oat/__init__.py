"""Once-for-all adversarial training (S002): one model that is told lambda, beside a model for each."""
