"""AutoAttack `standard` of our own: APGD-CE, APGD-T, FAB-T and Square Attack, one after the other.

APGD and FAB are attacks of their own as well (`evaluation.attacks`).

Written after the papers (Croce & Hein 2020 a: FAB, b: AutoAttack; Andriushchenko et al. 2020: Square) and,
where those leave something open, after the behaviour of their authors' code, which the tests hold it against
query by query. It draws the same random numbers. What differs cannot change a verdict but by rounding:
docs/reproduction/autoattack.md.
"""
