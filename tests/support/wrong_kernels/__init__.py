"""Every wrong kernel, put into the catalogue by the modules that are imported here."""

from wrong_kernels import (  # noqa: F401
    activations,
    bounds,
    convolutions,
    full_batch_optimizers,
    layers,
    losses,
    norms,
    optimizers,
    passes,
    pooling,
)
from wrong_kernels.catalogue import CATALOGUE, RIGHT, WrongKernel

__all__ = ["CATALOGUE", "GRADCHECKED", "RIGHT", "WrongKernel"]

GRADCHECKED = [kernel for kernel in CATALOGUE if kernel.net]
"""Those that gradcheck must find in a network."""
