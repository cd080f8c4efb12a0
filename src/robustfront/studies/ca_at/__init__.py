"""S001, Conflict-Aware Adversarial Training: its tables, figures and claims."""
