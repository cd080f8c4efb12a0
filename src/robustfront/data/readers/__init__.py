"""Each file format as uint8 images (N, C, H, W) and int64 labels (N,), in the order of the file.

One file per source, whose config names its function. Readers get the paths of verified files only, extract
nothing to disk and run nothing that a file contains. Damaged or foreign content is a DataError that names the
file.
"""

from robustfront.data.readers.base import Part, Raw, part_of, read

__all__ = ["Part", "Raw", "part_of", "read"]
