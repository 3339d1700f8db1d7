"""Derivations that textbooks and papers print: forward equations, the source, and what is derived from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bpcli.notation import compile_equations
from bpcli.notation.derive.backward import spelled
from bpcli.studies.describe.small_arrays import small_arrays
from bpcli.studies.describe.typed import formula


@dataclass(frozen=True)
class Textbook:
    """One derivation. `results` are the backward equations as they are typed, read by eye against the source; `differs`
    names the rearrangement where the source prints them otherwise."""

    name: str
    source: str
    forward: tuple[str, ...]
    results: tuple[str, ...] = ()
    differs: str = ""
    by: tuple[str, ...] = ()


def textbook_numbers(book: Textbook, seed: int) -> tuple[dict[str, Any], Any]:
    """Small arrays for what a derivation reads, positive where a logarithm or a root needs it, and what arrives."""
    forward = [formula(text) for text in book.forward]
    env = small_arrays(spelled(forward), seed)
    for name in ("var", "eps", "s", "margin"):
        if name in env:
            env[name] = np.abs(env[name]) + 0.5
    shape = compile_equations(forward, env).grids[-1].shape
    return env, np.random.default_rng(seed).normal(size=shape) if shape else np.asarray(1.0)


TEXTBOOK = (
    Textbook(
        "linear regression",
        "Bishop 2006, Pattern Recognition and Machine Learning, section 3.1.1",
        (
            "y[n] = sum(j, w[j] * x[n,j])",
            "L = sum(n, (t[n] - y[n])**2) / 2",
        ),
        (
            "dw[j] = sum(n, x[n,j] * (y[n] - t[n]))",
        ),
        by=("w",),
    ),
    Textbook(
        "ridge regression",
        "Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, section 3.4.1",
        (
            "y[n] = sum(j, w[j] * x[n,j])",
            "L = sum(n, (t[n] - y[n])**2) + decay * sum(j, w[j]**2)",
        ),
        (
            "dw[j] = 2 * decay * w[j] - 2 * sum(n, x[n,j] * (t[n] - y[n]))",
        ),
        by=("w",),
    ),
    Textbook(
        "logistic regression",
        "Bishop 2006, section 4.3.2",
        (
            "y[n] = sigmoid(sum(j, w[j] * x[n,j]))",
            "L = -sum(n, t[n] * log(y[n]) + (1 - t[n]) * log(1 - y[n]))",
        ),
        (
            "dw[j] = sum(n, x[n,j] * (y[n] - t[n]))",
        ),
        by=("w",),
    ),
    Textbook(
        "softmax",
        "Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2.3",
        (
            "y[n,k] = exp(z[n,k]) / sum(k, exp(z[n,k]))",
        ),
        (
            "dz[n,k] = y[n,k] * (dy[n,k] - sum(j, dy[n,j] * y[n,j]))",
        ),
        differs="the Jacobian y_k ([j = k] - y_j), times what arrives",
    ),
    Textbook(
        "softmax and cross-entropy",
        "Bishop 2006, section 4.3.4",
        (
            "y[n,k] = exp(z[n,k]) / sum(k, exp(z[n,k]))",
            "L = -sum(n,k, t[n,k] * log(y[n,k]))",
        ),
        (
            "dz[n,k] = y[n,k] * sum(j, t[n,j]) - t[n,k]",
        ),
        differs="y - t, where the targets of a row add up to 1",
        by=("z",),
    ),
    Textbook(
        "two-layer perceptron",
        "Bishop 2006, section 5.3.2",
        (
            "a[n,h] = sum(i, x[n,i] * V[i,h])",
            "z[n,h] = tanh(a[n,h])",
            "y[n,k] = sum(h, z[n,h] * W[h,k])",
            "L = sum(n,k, (y[n,k] - t[n,k])**2) / 2",
        ),
        (
            "dy[n,k] = y[n,k] - t[n,k]",
            "dz[n,h] = sum(k, dy[n,k] * W[h,k])",
            "dW[h,k] = sum(n, dy[n,k] * z[n,h])",
            "dV[i,h] = sum(n, dz[n,h] * x[n,i] * (1 - z[n,h]**2))",
        ),
        differs="delta_j is dz (1 - z^2), which stands inside dV",
        by=("W", "V",),
    ),
    Textbook(
        "batch normalization",
        "Ioffe & Szegedy 2015, Batch Normalization, section 3",
        (
            "mu[c] = mean(n, x[n,c])",
            "var[c] = mean(n, (x[n,c] - mu[c])**2)",
            "xhat[n,c] = (x[n,c] - mu[c]) / sqrt(var[c] + eps)",
            "y[n,c] = gamma[c] * xhat[n,c] + beta[c]",
        ),
        (
            "dxhat[n,c] = dy[n,c] * gamma[c]",
            "dvar[c] = -sum(n, dxhat[n,c] * xhat[n,c]) / (2 * (var[c] + eps))",
            "dmu[c] = -sum(n, dxhat[n,c]) / sqrt(var[c] + eps)",
            "dx[n,c] = dxhat[n,c] / sqrt(var[c] + eps) + 2 * dvar[c] * (x[n,c] - mu[c]) / count(n) + dmu[c] / count(n)",
            "dgamma[c] = sum(n, dy[n,c] * xhat[n,c])",
            "dbeta[c] = sum(n, dy[n,c])",
        ),
        differs="(x - mu) / sqrt(var + eps) is written xhat; deviations from a mean add up to 0, so a term of dmu goes",
        by=("x", "gamma", "beta",),
    ),
    Textbook(
        "layer normalization",
        "Ba, Kiros & Hinton 2016, Layer Normalization",
        (
            "mu[n] = mean(c, x[n,c])",
            "var[n] = mean(c, (x[n,c] - mu[n])**2)",
            "xhat[n,c] = (x[n,c] - mu[n]) / sqrt(var[n] + eps)",
            "y[n,c] = gamma[c] * xhat[n,c] + beta[c]",
        ),
        (
            "dxhat[n,c] = dy[n,c] * gamma[c]",
            "dvar[n] = -sum(c, dxhat[n,c] * xhat[n,c]) / (2 * (var[n] + eps))",
            "dmu[n] = -sum(c, dxhat[n,c]) / sqrt(var[n] + eps)",
            "dx[n,c] = dxhat[n,c] / sqrt(var[n] + eps) + 2 * dvar[n] * (x[n,c] - mu[n]) / count(c) + dmu[n] / count(c)",
            "dgamma[c] = sum(n, dy[n,c] * xhat[n,c])",
            "dbeta[c] = sum(n, dy[n,c])",
        ),
        differs="as of batch normalization, over the features of a row",
        by=("x", "gamma", "beta",),
    ),
    Textbook(
        "root mean square normalization",
        "Zhang & Sennrich 2019, Root Mean Square Layer Normalization",
        (
            "r[n] = sqrt(mean(c, x[n,c]**2) + eps)",
            "y[n,c] = g[c] * x[n,c] / r[n]",
        ),
        (
            "dr[n] = -sum(c, dy[n,c] * y[n,c]) / r[n]",
            "dx[n,c] = (dy[n,c] * g[c] + dr[n] * x[n,c] / count(c)) / r[n]",
            "dg[c] = sum(n, dy[n,c] * x[n,c] / r[n])",
        ),
        differs="in matrices there",
        by=("x", "g",),
    ),
    Textbook(
        "scaled dot-product attention",
        "Vaswani et al. 2017, Attention Is All You Need; backward: Dao et al. 2022, FlashAttention, appendix B.2",
        (
            "s[n,i,j] = sum(d, Q[n,i,d] * K[n,j,d]) / sqrt(D)",
            "a[n,i,j] = exp(s[n,i,j]) / sum(j, exp(s[n,i,j]))",
            "y[n,i,v] = sum(j, a[n,i,j] * V[n,j,v])",
        ),
        (
            "da[n,i,j] = sum(v, dy[n,i,v] * V[n,j,v])",
            "ds[n,i,j] = a[n,i,j] * (da[n,i,j] - sum(d, da[n,i,d] * a[n,i,d]))",
            "dQ[n,i,d] = sum(j, ds[n,i,j] * K[n,j,d]) / sqrt(D)",
            "dK[n,j,d] = sum(i, ds[n,i,j] * Q[n,i,d]) / sqrt(D)",
            "dV[n,j,v] = sum(i, dy[n,i,v] * a[n,i,j])",
        ),
        by=("Q", "K", "V",),
    ),
    Textbook(
        "gated recurrent unit",
        "Cho et al. 2014, Learning Phrase Representations, section 2.3",
        (
            "z[n,k] = sigmoid(a[n,k])",
            "r[n,k] = sigmoid(b[n,k])",
            "c[n,k] = tanh(p[n,k] + r[n,k] * q[n,k])",
            "h[n,k] = z[n,k] * s[n,k] + (1 - z[n,k]) * c[n,k]",
        ),
        (
            "dc[n,k] = dh[n,k] * (1 - z[n,k])",
            "da[n,k] = dh[n,k] * z[n,k] * (s[n,k] - c[n,k]) * (1 - z[n,k])",
            "db[n,k] = dc[n,k] * q[n,k] * r[n,k] * (1 - c[n,k]**2) * (1 - r[n,k])",
            "dp[n,k] = dc[n,k] * (1 - c[n,k]**2)",
            "dq[n,k] = dc[n,k] * r[n,k] * (1 - c[n,k]**2)",
            "ds[n,k] = dh[n,k] * z[n,k]",
        ),
        differs="the paper states the forward pass; s is the state before",
        by=("a", "b", "p", "q", "s",),
    ),
    Textbook(
        "long short-term memory",
        "Hochreiter & Schmidhuber 1997; backward: Greff et al. 2017, LSTM: A Search Space Odyssey",
        (
            "i[n,k] = sigmoid(p[n,k])",
            "f[n,k] = sigmoid(q[n,k])",
            "o[n,k] = sigmoid(r[n,k])",
            "z[n,k] = tanh(s[n,k])",
            "c[n,k] = z[n,k] * i[n,k] + d[n,k] * f[n,k]",
            "y[n,k] = tanh(c[n,k]) * o[n,k]",
        ),
        (
            "dc[n,k] = dy[n,k] * o[n,k] * (1 - tanh(c[n,k])**2)",
            "dp[n,k] = dc[n,k] * z[n,k] * i[n,k] * (1 - i[n,k])",
            "dq[n,k] = dc[n,k] * d[n,k] * f[n,k] * (1 - f[n,k])",
            "dr[n,k] = dy[n,k] * y[n,k] * (1 - o[n,k])",
            "ds[n,k] = dc[n,k] * i[n,k] * (1 - z[n,k]**2)",
            "dd[n,k] = dc[n,k] * f[n,k]",
        ),
        differs="tanh(c) o is written y; d is the cell before",
        by=("p", "q", "r", "s", "d",),
    ),
    Textbook(
        "recurrent step",
        "Goodfellow, Bengio & Courville 2016, section 10.2.2",
        (
            "h[n,k] = tanh(b[k] + sum(j, g[n,j] * W[j,k]) + sum(i, x[n,i] * U[i,k]))",
        ),
        (
            "dg[n,j] = sum(k, dh[n,k] * W[j,k] * (1 - h[n,k]**2))",
            "dW[j,k] = sum(n, dh[n,k] * g[n,j] * (1 - h[n,k]**2))",
            "dU[i,k] = sum(n, dh[n,k] * x[n,i] * (1 - h[n,k]**2))",
            "db[k] = sum(n, dh[n,k] * (1 - h[n,k]**2))",
        ),
        by=("g", "W", "U", "b",),
    ),
    Textbook(
        "triplet loss",
        "Schroff, Kalenichenko & Philbin 2015, FaceNet, section 3.1",
        (
            "d[n] = sum(k, (a[n,k] - p[n,k])**2) - sum(k, (a[n,k] - q[n,k])**2) + margin",
            "L = sum(n, max(d[n], 0))",
        ),
        (
            "dd[n] = where(d[n] > 0, 1, 0)",
            "da[n,k] = dd[n] * (2 * q[n,k] - 2 * p[n,k])",
            "dp[n,k] = -2 * dd[n] * (a[n,k] - p[n,k])",
            "dq[n,k] = 2 * dd[n] * (a[n,k] - q[n,k])",
        ),
        differs="2 (q - p), 2 (p - a) and 2 (a - q) where the margin is not kept",
        by=("a", "p", "q",),
    ),
    Textbook(
        "cosine similarity",
        "Salton & McGill 1983, Introduction to Modern Information Retrieval (the measure)",
        (
            "y = sum(k, a[k] * b[k]) / (norm(k, a[k]) * norm(k, b[k]))",
        ),
        (
            "da[k] = (b[k] / norm(j, b[j]) - y * a[k] / norm(j, a[j])) / norm(j, a[j])",
        ),
        differs="b / (|a| |b|) - y a / |a|^2, with 1 / |a| taken out",
        by=("a",),
    ),
    Textbook(
        "Gaussian log-likelihood",
        "Bishop 2006, section 1.2.4",
        (
            "L = -sum(n, (x[n] - mu)**2) / (2 * var) - count(n) * log(var) / 2",
        ),
        (
            "dmu = sum(n, x[n] - mu) / var",
            "dvar = (sum(n, (x[n] - mu)**2) / (2 * var) - count(n) / 2) / var",
        ),
        differs="1 / var is taken out of the derivative by var",
        by=("mu", "var",),
    ),
    Textbook(
        "divergence of a variational autoencoder",
        "Kingma & Welling 2014, Auto-Encoding Variational Bayes, appendix B",
        (
            "L = -sum(j, 1 + log(s[j]**2) - mu[j]**2 - s[j]**2) / 2",
        ),
        (
            "dmu[j] = mu[j]",
            "ds[j] = s[j] - 1 / s[j]",
        ),
        by=("mu", "s",),
    ),
    Textbook(
        "bilinear form",
        "Petersen & Pedersen 2012, The Matrix Cookbook, section 2.4.2",
        (
            "L = sum(i,j, x[i] * A[i,j] * x[j])",
        ),
        (
            "dx[i] = sum(j, x[j] * A[i,j]) + sum(k, x[k] * A[k,i])",
            "dA[i,j] = x[j] * x[i]",
        ),
        differs="(A + A^T) x as two sums",
        by=("x", "A",),
    ),
    Textbook(
        "log-sum-exp",
        "Boyd & Vandenberghe 2004, Convex Optimization, section 3.1.5",
        (
            "L = log(sum(k, exp(x[k])))",
        ),
        (
            "dx[k] = exp(x[k]) / sum(j, exp(x[j]))",
        ),
        differs="the softmax of x",
    ),
    Textbook(
        "hinge loss",
        "Shalev-Shwartz & Ben-David 2014, Understanding Machine Learning, chapter 14",
        (
            "L = mean(n, max(0, 1 - t[n] * sum(j, w[j] * x[n,j])))",
        ),
        (
            "dw[j] = sum(n, where(1 - t[n] * sum(k, w[k] * x[n,k]) > 0, -t[n] * x[n,j] / count(n), 0))",
        ),
        by=("w",),
    ),
    Textbook(
        "swish",
        "Ramachandran, Zoph & Le 2017, Searching for Activation Functions",
        (
            "y[n] = x[n] * sigmoid(beta * x[n])",
        ),
        (
            "dx[n] = dy[n] * (sigmoid(beta * x[n]) + y[n] * beta * (1 - sigmoid(beta * x[n])))",
            "dbeta = sum(n, dy[n] * y[n] * x[n] * (1 - sigmoid(beta * x[n])))",
        ),
        differs="x sigmoid(beta x) is written y",
        by=("x", "beta",),
    ),
    Textbook(
        "convolution",
        "Goodfellow, Bengio & Courville 2016, section 9.5",
        (
            "y[n,t<T,o] = sum(u,c, x[n,t+u,c] * K[u,c,o])",
        ),
        (
            "dx[n,d,c] = sum(o,u, pad(dy[n,d - u,o]) * K[u,c,o])",
            "dK[u,c,o] = sum(n,t<T, dy[n,t,o] * x[n,t + u,c])",
        ),
        differs="zero outside, as pad(...) reads",
        by=("x", "K",),
    ),
)  # fmt: skip
