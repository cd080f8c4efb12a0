"""M-LeNet, the MNIST network of GAT (Sriramanan et al. 2020) and NuAT.

Initialisation is torch's own. It draws from torch's global generator: seed that first.
"""

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from robustfront.config.images import Normalisation
from robustfront.config.networks import m_lenet
from robustfront.errors import ConfigError
from robustfront.models.classifier import Classifier


class MLeNet(Classifier):
    """The network that `config` describes, freshly initialised."""

    def __init__(
        self, config: m_lenet.MLeNet, *, channels: int, classes: int, normalisation: Normalisation
    ) -> None:
        super().__init__(normalisation)
        self.size, wide = config.size, 2 * config.width
        shapes = ((channels, config.width), (config.width, config.width), (config.width, wide), (wide, wide))
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 5, padding=2) for before, after in shapes)
        self.hidden = nn.Linear(wide * (config.size // 4) ** 2, config.hidden)
        self.head = nn.Linear(config.hidden, classes)

    def features(self, x: Tensor) -> Tensor:
        """ConfigError for images of another size than the config says."""
        if x.shape[2:] != (self.size, self.size):
            raise ConfigError(f"model.size: {self.size}, but the images are of {x.shape[2]} x {x.shape[3]}")
        h = self.normalise(x)
        for layer, convolution in enumerate(self.convolutions):
            h = relu(convolution(h), inplace=True)
            if layer % 2:
                h = max_pool2d(h, 2)
        return relu(self.hidden(h.flatten(1)), inplace=True)
