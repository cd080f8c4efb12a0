"""First contact with a GPU: is it right there, how fast is it, what comes of a few epochs."""
