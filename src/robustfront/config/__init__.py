"""params.yaml -> validated, fully resolved run configs. Knows no method, imports no torch."""
