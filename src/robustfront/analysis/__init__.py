"""What trained models look like inside: loss surfaces, attack paths, features against a head's null space.

`records` (the files) and `toy` (the paper's sketch) import no torch; the rest runs models. Import the modules
by their full names.
"""
