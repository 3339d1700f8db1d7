"""Activations. Each is a layer without parameters; as `activation:` it stands behind a dense layer.

A new one need not be listed here: `bpcli.parts` imports every module below it.
"""

from bpcli.parts.activations.piecewise import HardSigmoid, HardTanh, Identity, LeakyRelu, Relu
from bpcli.parts.activations.saturating import Sigmoid, Softmax, Softsign, Tanh
from bpcli.parts.activations.smooth import Elu, Gelu, Mish, Selu, Silu, Softplus

__all__ = [
    "Elu", "Gelu", "HardSigmoid", "HardTanh", "Identity", "LeakyRelu", "Mish", "Relu", "Selu", "Sigmoid", "Silu",
    "Softmax", "Softplus", "Softsign", "Tanh",
]  # fmt: skip
