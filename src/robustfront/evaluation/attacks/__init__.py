"""The attacks of `config.attacks`, one file each: a function of the settings and a `Target`."""
