"""Twenty kinds of part as the notation says them, against torch (or NumPy where torch has none).

They show that the notation reaches over everything the project will need: windows, strides, groups, ties, running
statistics, repeated indices, and every path of a chain rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bpcli.notation import Eq, compile_equations

pytestmark = pytest.mark.peers


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


def agree(equations: Mapping[str, str], inputs: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """Runs the equations (left to right side) and compares every expected array; returns all that came out."""
    expected = {k: np.asarray(v.detach() if hasattr(v, "detach") else v, np.float64) for k, v in expected.items()}
    shapes = {k: np.shape(v) for k, v in (inputs | expected).items() if np.ndim(v)}  # type: ignore[operator]
    scalars = {k: v for k, v in inputs.items() if not np.ndim(v)}
    found = compile_equations([Eq(*e) for e in equations.items()], scalars, shapes).run(inputs)
    for name, true in expected.items():
        gap = np.abs(found[name] - true).max() / max(1, np.abs(true).max())
        assert gap <= 4e-15, f"{name} is off by {gap:.1e}"
    return found


class Leaf:
    """An array, and the same as a torch tensor that takes a gradient."""

    def __init__(self, torch: Any, array: np.ndarray) -> None:
        self.array, self.tensor = array, torch.tensor(array, requires_grad=True)

    @property
    def grad(self) -> Any:
        return self.tensor.grad


def backward(torch: Any, y: Any, rng: np.random.Generator) -> np.ndarray:
    """Sends a random gradient back from `y`."""
    dy = rng.normal(size=tuple(y.shape))
    y.backward(torch.tensor(dy))
    return dy


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4, 5)])
def test_gelu_with_the_same_text_for_any_rank(torch: Any, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    x = Leaf(torch, rng.normal(size=shape))
    y = torch.nn.functional.gelu(x.tensor)
    dy = backward(torch, y, rng)
    equations = {
        "cdf[...]": "(1 + erf(x[...] / sqrt(2))) / 2",
        "y[...]": "x[...] * cdf[...]",
        "dx[...]": "dy[...] * (cdf[...] + x[...] * exp(-x[...]**2 / 2) / sqrt(2*pi))",
    }
    agree(equations, {"x": x.array, "dy": dy}, {"y": y, "dx": x.grad})


def test_softmax_by_its_whole_jacobian(torch: Any, rng: np.random.Generator) -> None:
    x = Leaf(torch, rng.normal(size=(3, 5)))
    y = torch.softmax(x.tensor, 1)
    dy = backward(torch, y, rng)
    equations = {
        "m[n]": "max(k, x[n,k])",
        "y[n,k]": "exp(x[n,k] - m[n]) / sum(j, exp(x[n,j] - m[n]))",
        "J[n,k,j]": "y[n,k] * ((k == j) - y[n,j])",
        "dx[n,j]": "sum(k, dy[n,k] * J[n,k,j])",
    }
    agree(equations, {"x": x.array, "dy": dy}, {"y": y, "dx": x.grad})


@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (5, 2)])
def test_batch_norm_with_the_same_text_for_any_rank(
    torch: Any, rng: np.random.Generator, shape: tuple[int, ...]
) -> None:
    x, gamma, beta = (Leaf(torch, rng.normal(size=s)) for s in (shape, 2, 2))
    rmean, rvar = rng.normal(size=2), rng.random(2)
    rmean_new, rvar_new = torch.tensor(rmean.copy()), torch.tensor(rvar.copy())
    channels_first = x.tensor.movedim(-1, 1)
    y = torch.nn.functional.batch_norm(
        channels_first, rmean_new, rvar_new, gamma.tensor, beta.tensor, True, 0.1, 1e-5
    ).movedim(1, -1)
    dy = backward(torch, y, rng)
    equations = {
        "mu[c]": "mean(n,..., x[n,...,c])",
        "var[c]": "mean(n,..., (x[n,...,c] - mu[c])**2)",
        "xhat[n,...,c]": "(x[n,...,c] - mu[c]) / sqrt(var[c] + eps)",
        "y[n,...,c]": "gamma[c] * xhat[n,...,c] + beta[c]",
        "dbeta[c]": "sum(n,..., dy[n,...,c])",
        "dgamma[c]": "sum(n,..., dy[n,...,c] * xhat[n,...,c])",
        "dxhat[n,...,c]": "dy[n,...,c] * gamma[c]",
        "dvar[c]": "-1/2 * sum(n,..., dxhat[n,...,c] * (x[n,...,c] - mu[c])) * (var[c] + eps)**(-3/2)",
        "dmu[c]": "-sum(n,..., dxhat[n,...,c]) / sqrt(var[c] + eps)",
        "dx[n,...,c]": "dxhat[n,...,c] / sqrt(var[c] + eps)"
        " + 2 * dvar[c] * (x[n,...,c] - mu[c]) / count(n,...) + dmu[c] / count(n,...)",
        "rmean_new[c]": "(1 - momentum) * rmean[c] + momentum * mu[c]",
        "rvar_new[c]": "(1 - momentum) * rvar[c] + momentum * var[c] * count(n,...) / (count(n,...) - 1)",
    }
    inputs = {
        "x": x.array, "dy": dy, "gamma": gamma.array, "beta": beta.array, "eps": 1e-5, "momentum": 0.1,
        "rmean": rmean, "rvar": rvar,
    }  # fmt: skip
    expected = {
        "y": y, "dx": x.grad, "dgamma": gamma.grad, "dbeta": beta.grad, "rmean_new": rmean_new, "rvar_new": rvar_new,
    }  # fmt: skip
    agree(equations, inputs, expected)


def test_grouped_dilated_strided_convolution(torch: Any, rng: np.random.Generator) -> None:
    stride, dilation, padding, groups, channels, filters = 2, 2, 2, 2, 6, 4
    x = Leaf(torch, rng.normal(size=(2, 9, 8, channels)))
    w = Leaf(torch, rng.normal(size=(3, 2, channels // groups, filters)))
    b = Leaf(torch, rng.normal(size=filters))
    y = torch.nn.functional.conv2d(
        x.tensor.permute(0, 3, 1, 2), w.tensor.permute(3, 2, 0, 1), b.tensor, stride, padding, dilation, groups
    ).permute(0, 2, 3, 1)
    dy = backward(torch, y, rng)
    window = "pad(x[n, s*p + d*u - a, s*q + d*v - a, f // Fg * Cg + c])"
    equations = {
        "y[n,p,q,f]": f"b[f] + sum(u,v,c, W[u,v,c,f] * {window})",
        "dW[u,v,c,f]": f"sum(n,p,q, dy[n,p,q,f] * {window})",
        "db[f]": "sum(n,p,q, dy[n,p,q,f])",
        "dx[n,h,w,c]": "sum(u,v,g<Fg, where((h + a - d*u) % s + (w + a - d*v) % s == 0,"
        " pad(dy[n, (h + a - d*u) // s, (w + a - d*v) // s, c // Cg * Fg + g])"
        " * W[u, v, c % Cg, c // Cg * Fg + g], 0))",
    }
    inputs = {
        "x": x.array, "W": w.array, "b": b.array, "dy": dy, "s": stride, "d": dilation, "a": padding,
        "Cg": channels // groups, "Fg": filters // groups,
    }  # fmt: skip
    agree(equations, inputs, {"y": y, "dx": x.grad, "dW": w.grad, "db": b.grad})


def test_max_pooling_with_ties_overlaps_and_padding(torch: Any, rng: np.random.Generator) -> None:
    x = Leaf(torch, np.round(rng.normal(size=(2, 7, 6, 3)) * 2) - 3)
    y = torch.nn.functional.max_pool2d(x.tensor.permute(0, 3, 1, 2), 3, 2, 1).permute(0, 2, 3, 1)
    dy = backward(torch, y, rng)
    window = "pad(x[n, s*p + u - a, s*q + v - a, c], -inf)"
    place = "n, (h + a - u) // s, (w + a - v) // s, c"
    equations = {
        "y[n,p,q,c]": f"max(u<k, v<k, {window})",
        "win[n,p,q,c]": f"argmax(u<k, v<k, {window})",
        "dx[n,h,w,c]": "sum(u<k, v<k, where((h + a - u) % s + (w + a - v) % s == 0,"
        f" pad(dy[{place}]) * (pad(win[{place}], -1) == k*u + v), 0))",
    }
    agree(equations, {"x": x.array, "dy": dy, "k": 3, "s": 2, "a": 1}, {"y": y, "dx": x.grad})


def test_transposed_convolution(torch: Any, rng: np.random.Generator) -> None:
    x, w, b = (Leaf(torch, rng.normal(size=s)) for s in ((2, 4, 3, 2), (3, 3, 2, 5), 5))
    y = torch.nn.functional.conv_transpose2d(
        x.tensor.permute(0, 3, 1, 2), w.tensor.permute(2, 3, 0, 1), b.tensor, stride=2, padding=1, output_padding=1
    ).permute(0, 2, 3, 1)
    dy = backward(torch, y, rng)
    equations = {
        "y[n,p,q,f]": "b[f] + sum(u,v,c, where((p + a - u) % s + (q + a - v) % s == 0,"
        " pad(x[n, (p + a - u) // s, (q + a - v) // s, c]) * W[u,v,c,f], 0))",
        "dx[n,h,w,c]": "sum(u,v,f, pad(dy[n, s*h + u - a, s*w + v - a, f]) * W[u,v,c,f])",
        "dW[u,v,c,f]": "sum(n,h,w, pad(dy[n, s*h + u - a, s*w + v - a, f]) * x[n,h,w,c])",
    }
    inputs = {"x": x.array, "W": w.array, "b": b.array, "dy": dy, "s": 2, "a": 1}
    agree(equations, inputs, {"y": y, "dx": x.grad, "dW": w.grad})


def test_group_norm(torch: Any, rng: np.random.Generator) -> None:
    x, gamma, beta = (Leaf(torch, rng.normal(size=s)) for s in ((2, 3, 4, 6), 6, 6))
    y = torch.nn.functional.group_norm(x.tensor.movedim(-1, 1), 2, gamma.tensor, beta.tensor, 1e-5).movedim(1, -1)
    dy = backward(torch, y, rng)
    centred = "(x[n,h,w,g*Cg + e] - mu[n,g])"
    equations = {
        "mu[n,g<G]": "mean(h,w,e<Cg, x[n,h,w,g*Cg + e])",
        "var[n,g<G]": f"mean(h,w,e<Cg, {centred}**2)",
        "xhat[n,h,w,c]": "(x[n,h,w,c] - mu[n,c//Cg]) / sqrt(var[n,c//Cg] + eps)",
        "y[n,h,w,c]": "gamma[c]*xhat[n,h,w,c] + beta[c]",
        "dgamma[c]": "sum(n,h,w, dy[n,h,w,c]*xhat[n,h,w,c])",
        "dbeta[c]": "sum(n,h,w, dy[n,h,w,c])",
        "dxhat[n,h,w,c]": "dy[n,h,w,c]*gamma[c]",
        "dvar[n,g<G]": f"-1/2 * sum(h,w,e<Cg, dxhat[n,h,w,g*Cg + e]*{centred}) * (var[n,g] + eps)**(-3/2)",
        "dmu[n,g<G]": "-sum(h,w,e<Cg, dxhat[n,h,w,g*Cg + e]) / sqrt(var[n,g] + eps)",
        "dx[n,h,w,c]": "dxhat[n,h,w,c]/sqrt(var[n,c//Cg] + eps)"
        " + (2*dvar[n,c//Cg]*(x[n,h,w,c] - mu[n,c//Cg]) + dmu[n,c//Cg]) / count(h,w,e<Cg)",
    }
    inputs = {"x": x.array, "dy": dy, "gamma": gamma.array, "beta": beta.array, "eps": 1e-5, "G": 2, "Cg": 3}
    agree(equations, inputs, {"y": y, "dx": x.grad, "dgamma": gamma.grad, "dbeta": beta.grad})


def test_embedding_with_repeated_tokens(torch: Any, rng: np.random.Generator) -> None:
    tokens = np.array([[1, 4, 1], [0, 1, 5]])
    w = Leaf(torch, rng.normal(size=(6, 3)))
    y = w.tensor[torch.tensor(tokens)]
    dy = backward(torch, y, rng)
    equations = {"y[n,t,o]": "W[x[n,t], o]", "dW[i,o]": "sum(n,t, (x[n,t] == i) * dy[n,t,o])"}
    agree(equations, {"x": tokens, "W": w.array, "dy": dy}, {"y": y, "dW": w.grad})


def test_flatten(rng: np.random.Generator) -> None:
    x, dy = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 60))
    equations = {
        "y[n,i<H*W*C]": "x[n, i // (W*C), i // C % W, i % C]",
        "dx[n,h,w,c]": "dy[n, (h*W + w)*C + c]",
    }
    inputs = {"x": x, "dy": dy, "H": 3, "W": 4, "C": 5}
    agree(equations, inputs, {"y": x.reshape(2, 60), "dx": dy.reshape(x.shape)})


class TestLosses:
    def test_focal(self, torch: Any, rng: np.random.Generator) -> None:
        x, t = Leaf(torch, rng.normal(size=(3, 5))), np.array([1, 4, 0])
        log_q = torch.log_softmax(x.tensor, 1)[torch.arange(3), torch.tensor(t)]
        loss = (-0.25 * (1 - log_q.exp()) ** 2 * log_q).mean()
        loss.backward()
        equations = {
            "lse[n]": "logsumexp(k, x[n,k])",
            "p[n,k]": "exp(x[n,k] - lse[n])",
            "q[n]": "p[n,t[n]]",
            "L": "mean(n, -alpha * (1 - q[n])**gamma * log(q[n]))",
            "dq[n]": "alpha * (gamma * (1 - q[n])**(gamma - 1) * log(q[n]) - (1 - q[n])**gamma / q[n]) / count(n)",
            "dx[n,k]": "dq[n] * q[n] * ((k == t[n]) - p[n,k])",
        }
        agree(equations, {"x": x.array, "t": t, "alpha": 0.25, "gamma": 2.0}, {"L": loss, "dx": x.grad})

    def test_kl_divergence_with_zeros_in_the_target(self, torch: Any, rng: np.random.Generator) -> None:
        x, t = Leaf(torch, rng.normal(size=(3, 5))), rng.dirichlet(np.ones(5), 3)
        t[:, 0] = 0
        log_p = torch.log_softmax(x.tensor, 1)
        loss = torch.nn.functional.kl_div(log_p, torch.tensor(t), reduction="batchmean")
        loss.backward()
        equations = {
            "lse[n]": "logsumexp(j, x[n,j])",
            "L": "mean(n, sum(k, xlogy(t[n,k], t[n,k]) - t[n,k] * (x[n,k] - lse[n])))",
            "dx[n,k]": "(exp(x[n,k] - lse[n]) * sum(j, t[n,j]) - t[n,k]) / count(n)",
        }
        agree(equations, {"x": x.array, "t": t}, {"L": loss, "dx": x.grad})

    def test_multiclass_hinge(self, torch: Any, rng: np.random.Generator) -> None:
        x, t = Leaf(torch, rng.normal(size=(4, 5))), np.array([1, 4, 0, 2])
        rows = torch.arange(4)
        others = x.tensor.clone()
        others[rows, torch.tensor(t)] = -torch.inf
        loss = torch.relu(1 + others.max(1).values - x.tensor[rows, torch.tensor(t)]).mean()
        loss.backward()
        equations = {
            "best[n]": "max(j, where(j == t[n], -inf, x[n,j]))",
            "rival[n]": "argmax(j, where(j == t[n], -inf, x[n,j]))",
            "L": "mean(n, max(0, 1 + best[n] - x[n,t[n]]))",
            "dx[n,k]": "(1 + best[n] > x[n,t[n]]) * ((k == rival[n]) - (k == t[n])) / count(n)",
        }
        agree(equations, {"x": x.array, "t": t}, {"L": loss, "dx": x.grad})


class TestUpdates:
    def test_adam(self, torch: Any, rng: np.random.Generator) -> None:
        w, g, m, v = rng.normal(size=11), rng.normal(size=11), rng.normal(size=11) * 0.1, rng.random(11) * 0.1
        p = torch.tensor(w.copy(), requires_grad=True)
        optimizer = torch.optim.Adam([p], lr=0.01)
        p.grad = torch.tensor(g)
        optimizer.state[p] = {
            "step": torch.tensor(2.0), "exp_avg": torch.tensor(m.copy()), "exp_avg_sq": torch.tensor(v.copy()),
        }  # fmt: skip
        optimizer.step()
        equations = {
            "m_new[j]": "b1*m[j] + (1 - b1)*g[j]",
            "v_new[j]": "b2*v[j] + (1 - b2)*g[j]**2",
            "mhat[j]": "m_new[j] / (1 - b1**t)",
            "vhat[j]": "v_new[j] / (1 - b2**t)",
            "w_new[j]": "w[j] - lr * mhat[j] / (sqrt(vhat[j]) + eps)",
        }
        inputs = {"w": w, "g": g, "m": m, "v": v, "b1": 0.9, "b2": 0.999, "lr": 0.01, "eps": 1e-8, "t": 3}
        state = optimizer.state[p]
        agree(equations, inputs, {"w_new": p, "m_new": state["exp_avg"], "v_new": state["exp_avg_sq"]})

    def test_rprop(self, torch: Any, rng: np.random.Generator) -> None:
        w, g, prev, eta = rng.normal(size=11), rng.normal(size=11), rng.normal(size=11), rng.random(11)
        p = torch.tensor(w.copy(), requires_grad=True)
        optimizer = torch.optim.Rprop([p], lr=0.01)
        p.grad = torch.tensor(g.copy())
        optimizer.state[p] = {
            "step": torch.tensor(3.0), "prev": torch.tensor(prev.copy()), "step_size": torch.tensor(eta.copy()),
        }  # fmt: skip
        optimizer.step()
        turned = "g[j]*prev[j] < 0"
        equations = {
            "eta_new[j]": f"min(max(eta[j] * where(g[j]*prev[j] > 0, 1.2, where({turned}, 0.5, 1)), 1e-6), 50)",
            "prev_new[j]": f"where({turned}, 0, g[j])",
            "w_new[j]": "w[j] - sign(prev_new[j]) * eta_new[j]",
        }
        expected = {"w_new": p, "eta_new": optimizer.state[p]["step_size"]}
        agree(equations, {"w": w, "g": g, "prev": prev, "eta": eta}, expected)

    @pytest.mark.parametrize("scale", [1, 0.01, 0])
    def test_clipping_by_the_global_norm(self, torch: Any, rng: np.random.Generator, scale: float) -> None:
        g = rng.normal(size=11) * scale
        factor = min(1.0, 1 / max(float(np.linalg.norm(g)), 1e-300))
        equations = {
            "norm": "sqrt(sum(j, g[j]**2))",
            "factor": "where(norm > c, c / norm, 1)",
            "g_new[j]": "factor * g[j]",
        }
        agree(equations, {"g": g, "c": 1.0}, {"norm": np.linalg.norm(g), "factor": factor, "g_new": g * factor})

    @pytest.mark.parametrize("shape", [(4, 3), (3, 3, 2, 5)])
    def test_adaptive_clipping(self, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
        w, g = rng.normal(size=shape), rng.normal(size=shape)
        axes = tuple(range(len(shape) - 1))
        limit = 0.3 * np.maximum(np.sqrt((w**2).sum(axes)), 1e-3)
        equations = {
            "wnorm[o]": "max(sqrt(sum(..., w[...,o]**2)), 1e-3)",
            "gnorm[o]": "sqrt(sum(..., g[...,o]**2))",
            "factor[o]": "where(gnorm[o] > c*wnorm[o], c*wnorm[o] / gnorm[o], 1)",
            "g_new[...,o]": "factor[o] * g[...,o]",
        }
        agree(equations, {"w": w, "g": g, "c": 0.3}, {"g_new": g * np.minimum(1, limit / np.sqrt((g**2).sum(axes)))})

    def test_clipping_by_a_percentile_of_past_norms(self, rng: np.random.Generator) -> None:
        g, h = rng.normal(size=11), np.array([3.0, 1, 2, 10, 0.5])
        c = np.percentile(h, 10)
        equations = {"c": "percentile(s, pct, h[s])", "g_new[j]": "where(norm > c, c/norm, 1) * g[j]"}
        agree(equations, {"h": h, "pct": 10.0, "norm": 0.8, "g": g}, {"c": c, "g_new": g * c / 0.8})

    def test_clipping_by_z_score(self, rng: np.random.Generator) -> None:
        g = rng.normal(size=11)
        equations = {
            "z": "(norm - mu) / sqrt(var)",
            "c": "where(z > zmax, mu + zmax**2 * sqrt(var) / z, norm)",
            "g_new[j]": "g[j] * where(norm > c, c / norm, 1)",
            "mu_new": "a*mu + (1 - a)*min(norm, c)",
            "var_new": "a*var + (1 - a)*(min(norm, c) - mu_new)**2",
        }
        inputs = {"norm": 3.0, "mu": 1.0, "var": 0.04, "zmax": 2.5, "a": 0.97, "g": g}
        mu_new = 0.97 + 0.03 * 1.125
        var_new = 0.97 * 0.04 + 0.03 * (1.125 - mu_new) ** 2
        expected = {"z": 10, "c": 1.125, "g_new": g * 0.375, "mu_new": mu_new, "var_new": var_new}
        agree(equations, inputs, expected)

    def test_l1_over_the_slice_that_decays(self, rng: np.random.Generator) -> None:
        w, decays = rng.normal(size=11), 7
        w[2] = 0
        equations = {
            "penalty": "strength * sum(j<D, abs(w[j]))",
            "dw[j]": "where(j < D, strength * sign(w[j]), 0)",
        }
        expected = {"penalty": 0.1 * np.abs(w[:decays]).sum(), "dw": 0.1 * np.sign(w) * (np.arange(11) < decays)}
        agree(equations, {"w": w, "strength": 0.1, "D": decays}, expected)

    def test_a_plateau(self) -> None:
        equations = {
            "bad_new": "where(metric < best * (1 - threshold), 0, bad + 1)",
            "lr_new": "where(bad_new >= patience, max(lr * factor, min_lr), lr)",
        }
        inputs = {
            "metric": 0.5, "best": 0.4, "threshold": 1e-4, "bad": 9, "patience": 10, "lr": 0.1, "factor": 0.1,
            "min_lr": 0.0,
        }  # fmt: skip
        agree(equations, inputs, {"bad_new": 10, "lr_new": 0.01})
