"""One folder per study: what its paper says and shows. What all studies share is in `reporting`."""
