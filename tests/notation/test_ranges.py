"""How many values an index has, and what is said where it has none or two."""

from __future__ import annotations

import numpy as np
from run_equations import fails, run, value

RNG = np.random.default_rng(5)


class TestRanges:
    """In the order of precedence: what is told, the left side's engine array, where the letter stands alone, before."""

    def test_told_goes_before_all(self) -> None:
        assert value("sum(j<2, x[j])", x=[1.0, 10, 100]) == 11

    def test_told_may_be_an_expression_of_whole_scalars(self) -> None:
        x = RNG.normal(size=(2, 3, 4))
        found = value("x[i // (W*C), i // C % W, i % C]", "y[i<H*W*C]", x=x, H=2, W=3, C=4)
        np.testing.assert_array_equal(found, x.ravel())
        assert value("sum(i<2*K - 1 + 6//K, 1)", K=3) == 7

    def test_the_left_sides_engine_array_goes_before_reads(self) -> None:
        found = run(("y[p]", "pad(x[p])"), x=[1.0, 2, 3], y=np.zeros(2))["y"]
        np.testing.assert_array_equal(found, [1, 2])

    def test_an_array_where_the_letter_stands_alone(self) -> None:
        np.testing.assert_array_equal(value("x[2*p] + w[p]", "y[p]", x=[1.0, 2, 3, 4], w=[10.0, 20]), [11, 23])

    def test_what_stands_in_pad_gives_no_range(self) -> None:
        fails("index p has no range; write p<...", ("y[p]", "pad(x[p])"), x=[1.0, 2])

    def test_an_earlier_equation(self) -> None:
        out = run(("y[n,g<2]", "x[n]"), ("z[g]", "g"), x=[1.0, 2, 3])
        assert out["y"].shape == (3, 2)
        np.testing.assert_array_equal(out["z"], [0, 1])

    def test_count_is_the_product_of_ranges(self) -> None:
        assert value("count(n,h,e<5) + 0*sum(n,h, x[n,h])", x=np.zeros((2, 3))) == 30
        np.testing.assert_array_equal(value("x[n] / count(n)", "y[n]", x=[1.0, 3]), [0.5, 1.5])

    def test_no_range_is_an_error(self) -> None:
        fails("index k has no range; write k<...", ("y[n]", "sum(k, x[n])"), x=[1.0])

    def test_ranges_that_do_not_fit_are_errors(self) -> None:
        fails("index i is 3 and 2", ("y", "sum(i, a[i]*b[i])"), a=[1.0, 2, 3], b=[1.0, 2])
        fails("index i is 2 on the left and 3 on the right", ("y[i]", "a[i]"), a=[1.0, 2, 3], y=np.zeros(2))
        fails("an index occurs twice", ("y", "sum(i<3, i<2, 1)"))
        fails("index i is written with 3, is 2 on the left", ("y[i<3]", "i"), y=np.zeros(2))
        fails("the range K is not an integer known here", ("y", "sum(i<K + 1, 1)"), K=2.5)
        fails("the range floor(K/S) is not an integer known here", ("y", "sum(u<K // S, 1)"), K=4, S=0)
        fails("the range b[o] is not an integer known here", ("y[o]", "max(c < b[o], 1)"), b=[1.0])
        fails("the engine's y has 2 axes", ("y[i]", "x[i]"), x=[1.0], y=np.zeros((1, 1)))
