"""Attack suites on trained models: a verdict per image, gradient-masking checks, statistics.

`suites` and `masking` run models; `outcomes` and `statistics` work on their results and import no torch.
"""
