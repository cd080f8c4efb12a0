"""STL-10 (Coates, Lee, Ng 2011), its labelled images."""

from typing import ClassVar, Literal

from robustfront.config.datasets.base import Dataset, File, Shape, Source, datasets

OFFICIAL = Source(
    mirrors=("http://ai.stanford.edu/~acoates/stl10/", "https://cs.stanford.edu/~acoates/stl10/"),
    files=(File("stl10_binary.tar.gz", "91f7769df0f17e558f3565bffb0c7dfb", 2_640_397_119),),
    unpacked=(
        File("train_X.bin", "918c2871b30a85fa023e0c44e0bee87f", 138_240_000, "train"),
        File("train_y.bin", "5a34089d4802c674881badbb80307741", 5_000, "train"),
        File("test_X.bin", "7f263ba9f9e0b06b93213547f721ac82", 221_184_000, "test"),
        File("test_y.bin", "36f9794fa4beb8a2c72628de14fa638e", 8_000, "test"),
    ),
)


@datasets.register
class STL10(Dataset):
    read_by: ClassVar[str] = "robustfront.data.readers.stl10:read"
    shape: ClassVar[Shape | None] = Shape(3, 96, 10, 5000, 8000)
    official: ClassVar[Source | None] = OFFICIAL

    source: Literal["stl10"] = "stl10"
