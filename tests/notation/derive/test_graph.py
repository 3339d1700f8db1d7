"""The nodes of a computational graph: each expression once, and together the same function as the equations."""

import numpy as np
import pytest
from random_formulas import RandomFormulas

from bpcli.notation import Eq, NotationError, compile_equations
from bpcli.notation.derive.graph import FormulaNode, graph_nodes
from bpcli.notation.derive.source import typed
from bpcli.studies.describe.graph import valued_graph
from bpcli.studies.witness.witness import max_abs


def nodes_of(*texts: str, constants: tuple[str, ...] = (), **env: object) -> tuple[FormulaNode, ...]:
    eqs = [Eq(*(side.strip() for side in text.split("=", 1))) for text in texts]
    program = compile_equations(eqs, env)
    return graph_nodes(program.grids, {name: np.shape(value) for name, value in env.items()}, constants)  # type: ignore[arg-type]


def operations(*texts: str, **env: object) -> dict[str, str]:
    return {n.name: "" if n.right is None else typed(n.right) for n in nodes_of(*texts, **env)}  # type: ignore[arg-type]


def test_every_operation_is_a_node_after_what_it_reads() -> None:
    assert operations("f = (x + y) * -z", x=1.0, y=2.0, z=3.0) == {
        "x": "", "y": "", "v1": "x + y", "z": "", "v2": "-z", "f": "v1 * v2",
    }  # fmt: skip


def test_equal_expressions_are_one_node_whatever_their_indices_are_called() -> None:
    x = np.ones((2, 3))
    found = operations("y[n,k] = exp(x[n,k]) / sum(k, exp(x[n,k]))", x=x)
    assert found == {"x": "", "v1": "exp(x[n,k])", "v2": "sum(l, v1[n,l])", "y": "v1[n,k] / v2[n]"}


def test_a_product_that_is_summed_up_a_constant_and_a_condition_are_no_nodes() -> None:
    x, w = np.ones((2, 3)), np.ones((3, 4))
    assert operations("y[n,o] = sum(i, x[n,i] * w[i,o])", x=x, w=w) == {
        "x": "", "w": "", "y": "sum(i, x[n,i] * w[i,o])",
    }  # fmt: skip
    assert operations("f = where(x > 2, 3 * x, 0) + 2 * pi", x=1.0)["v2"] == "where(x > 2, v1, 0)"
    assert [n.name for n in nodes_of("f = a * x", a=2.0, x=1.0, constants=("a",))] == ["x", "f"]


def test_a_name_on_the_way_is_none_that_is_taken() -> None:
    assert list(operations("v1 = x + 1", "f = exp(v1) * 2", x=1.0)) == ["x", "v1", "v2", "f"]


def test_a_graph_that_nobody_can_follow_is_refused() -> None:
    text = "f = " + " + ".join(f"sin({k} * x)" for k in range(2, 150))
    with pytest.raises(NotationError, match="more than 400 nodes"):
        nodes_of(text, x=1.0)


def check_random_graph(seed: int) -> None:
    """Values are those of the equations; derivatives those of the whole and of complex steps."""
    formulas = RandomFormulas(seed)
    while True:
        eqs, env = formulas.equations(int(formulas.rng.integers(1, 5))), formulas.env()
        program = compile_equations(eqs, env)
        y = program.run(env)["y"]
        if np.isfinite(y).all() and max_abs(y) <= 1e6:
            break
    arriving = np.random.default_rng(seed).normal(size=y.shape)
    found = valued_graph("f", program, env, (), (), arriving)
    assert np.allclose(found.output.value, y, rtol=1e-12, atol=1e-12)
    assert all(check.gap < 1e-10 for check in found.checks), (eqs, found.checks)


@pytest.mark.parametrize("seed", range(10))
def test_random_graphs(seed: int) -> None:
    check_random_graph(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 400))
def test_many_random_graphs(seed: int) -> None:
    check_random_graph(seed)
