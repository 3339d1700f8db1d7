"""The laws at size: what kernels come to on both sides of every constant at which they take another way.

That these sizes take every way is counted by test_ways.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import parts_at_size
import pytest
import row_losses_at_size
import rows_at_size
import searches_at_size
import sizes
import steps_at_size
from random_sizes import random_net
from registry import leaves, named_alone

from bpcli.family import Activation, Clipper, Constraint, Layer, Loss, Metric, Optimizer, Regularizer

LAWS: dict[str, Callable[[], None]] = {
    name: law
    for module in (sizes, parts_at_size, steps_at_size, searches_at_size, rows_at_size)
    for name, law in module.laws()
}


@pytest.mark.parametrize("name", LAWS)
def test_the_law_holds_at_size(name: str) -> None:
    LAWS[name]()


@pytest.mark.slow
def test_no_part_is_left_out() -> None:
    """Every layer, loss, penalty, constraint, clipper, optimizer and metric is in some law. A new one whose kernel
    takes another way from some size on needs a case of that size: bpcli guide development."""
    families = (Layer, Activation, Loss, Regularizer, Constraint, Clipper, Optimizer, Metric)
    said = (
        " ".join([*LAWS, *(name for name, _ in row_losses_at_size.laws())])
        + " "
        + " ".join(str(net.layers) for net in sizes.NETS.values())
    )
    for name, leaf in leaves().items():
        if issubclass(leaf, families):
            assert name.partition("/")[2] in said, name


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(400))
def test_networks_by_chance_near_the_constants(seed: int) -> None:
    """The long version: layers of sizes by chance, such that a piece, a band, a cut, a block or a chunk is about to
    begin."""
    net = random_net(np.random.default_rng([13, seed]))
    sizes.NETS["by chance"] = net
    try:
        sizes.expected.cache_clear()
        sizes.law_of_net("by chance")
    except AssertionError as error:
        raise AssertionError(f"{net}: {error}") from error
    finally:
        del sizes.NETS["by chance"]
        sizes.expected.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("kind", named_alone(Activation))
def test_activations_in_blocks_of_their_true_size(kind: str) -> None:
    parts_at_size.law_of_true_blocks(kind)
