"""Training methods, one file per idea. Importing this reads them all; none imports torch at module level."""

from robustfront.config.registry import read_package
from robustfront.methods.base import Methods, methods

__all__ = ["Methods", "methods"]

read_package(__path__, __name__)
