"""Wrong backward passes of layers with weights, of dropout, branches, embeddings and what only moves numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from bpcli.family.plan import Array, Frame
from bpcli.parts.layers.dense import Dense
from bpcli.parts.layers.dropout import Dropout, SpatialDropout
from bpcli.parts.layers.embedding import Embedding
from bpcli.parts.layers.gaussian_noise import GaussianNoise
from bpcli.parts.layers.residual import Residual
from bpcli.parts.layers.shaping import Reshape, Upsample, ZeroPad
from bpcli.parts.layers.windows import as_pair
from wrong_kernels.catalogue import EQUATIONS, NO_DIFFERENCES, NOBODY, WITNESSES, dx, then, wrong

DENSE, RESIDUAL, DROPOUT = Dense.backward, Residual.backward, Dropout.backward
EMBEDDING = Embedding.forward
RATE = 0.1  # of a step that is taken too early
BRANCH = frozenset({"equations", "differences"})
"""Who sees a branch: what it does is not in a container's own equations, so complex steps do not."""

# --------------------------------------------------------------------------------------------------------------- dense
WEIGHTS, BIASES, INPUTS = "dense_1.dW, dense_2.dW", "dense_1.db, dense_2.db", "dense_1.dx, dense_2.dx"


@wrong(Dense, "tanh", BIASES, "sum over all")
def bias_summed_over_all(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.db[...] = f.dy.sum()


@wrong(Dense, "tanh", BIASES, "all 0")
def bias_missing(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.db[...] = 0


@wrong(Dense, "tanh", BIASES, "1/N")
def bias_averaged(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.db[...] = f.dy.mean(0)


@wrong(Dense, "tanh", BIASES, "dW summed over axis 0")
def bias_from_the_product(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.db[...] = (f.x.T @ f.dy).sum(0)


@wrong(Dense, "tanh", BIASES, "only the first|n = 0|first term")
def bias_of_the_first_row(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.db[...] = f.dy[0]


@wrong(Dense, "tanh", WEIGHTS, "1/N")
def weights_averaged(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[...] = f.x.T @ f.dy / len(f.x)


@wrong(Dense, "square", WEIGHTS, "transposed")
def weights_transposed(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[...] = (f.x.T @ f.dy).T


@wrong(Dense, "square", INPUTS, "W.* transposed|transposed.* W")
def inputs_through_untransposed_weights(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    if f.dx is not None:
        f.dx[...] = f.dy @ f.W


@wrong(Dense, "tanh", INPUTS, "updated already \\(by 0.1 ")
def inputs_through_updated_weights(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    if f.dx is not None:
        f.dx[...] = f.dy @ (f.W - RATE * f.dW).T


@wrong(Dense, "tanh", "", "changes its W", "re-entrant", seen_by=NOBODY)
def weights_updated_inside_backward(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.W -= RATE * f.dW


@wrong(Dense, "tanh", WEIGHTS, "n = 2 .*left out")
def last_row_skipped(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[...] = f.x[:-1].T @ f.dy[:-1]


@wrong(Dense, "tanh", WEIGHTS, "only the entry \\[0,.*0")
def one_weight_zero(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[0, -1] = 0


@wrong(Dense, "tanh", WEIGHTS, "only the entry \\[1,0\\].*1.01")
def one_weight_off_by_one_percent(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[1, 0] *= 1.01


@wrong(Dense, "tanh", WEIGHTS, "index 0 is [13], the last")
def last_input_not_written(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[-1] = 0


@wrong(Dense, "tanh", f"{WEIGHTS}, {BIASES}", "added to what stood there", "re-entrant", seen_by=NOBODY)
def gradients_accumulate(self: Dense, f: Frame, train: bool) -> None:
    before = f.dW.copy(), f.db.copy()
    DENSE(self, f, train)
    f.dW += before[0]
    f.db += before[1]


@wrong(Dense, "tanh", WEIGHTS, "float32", seen_by=NO_DIFFERENCES)
def weights_in_float32(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[...] = f.x.T.astype(np.float32) @ f.dy.astype(np.float32)


@wrong(Dense, "tanh", INPUTS, "whole numbers")
def inputs_in_integers(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    if f.dx is not None:
        f.dx[...] = f.dx.astype(np.int64)


@wrong(Dense, "tanh", INPUTS, "sign")
def inputs_with_the_wrong_sign(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    if f.dx is not None:
        f.dx *= -1


@wrong(Dense, "tanh", "", "changes its dy", "re-entrant", seen_by=NOBODY)
def error_scaled_in_place(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dy *= 0.5


# --------------------------------------------------------------------------------------------------- dropout, branches
@wrong(Dropout, "dropout", "dropout_1.dx", "mask|m\\[n,i\\] is (forgotten|left out)")
def dropout_without_its_mask(self: Dropout, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy / (1 - self.rate) if train else f.dy


@wrong(Dropout, "dropout", "dropout_1.dx", r"1 - rate")
def dropout_without_its_scale(self: Dropout, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.m > 0) if train else f.dy


@wrong(Dropout, "dropout", "dropout_1.dx", "slope is forgotten|factor m.* left out")
def dropout_forgotten(self: Dropout, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy


@wrong(Dropout, "dropout", "dropout_1.dx", "draws by chance", "re-entrant")
def dropout_mask_drawn_again(self: Dropout, f: Frame, train: bool) -> None:
    DROPOUT(self, f, train)
    if train:
        f.dx[...] = f.dy * (REDRAWN.random(f.dy.shape) >= self.rate) / (1 - self.rate)


REDRAWN = np.random.default_rng(3)


@wrong(Dropout, "dropout", "dropout_1.dx", "times m")
def dropout_at_evaluation(self: Dropout, f: Frame, train: bool) -> None:
    DROPOUT(self, f, True)


@wrong(Residual, "residual", "residual_1.dx", "term dL/dy.* is left out", seen_by=BRANCH)
def fork_overwritten(self: Residual, f: Frame, train: bool) -> None:
    RESIDUAL(self, f, train)
    f.dx[...] = f.branch.dx


@wrong(Residual, "residual", "residual_1.dx", "branch_(x|dx).* is left out|slope is forgotten", seen_by=BRANCH)
def branch_forgotten(self: Residual, f: Frame, train: bool) -> None:
    RESIDUAL(self, f, train)
    f.dx[...] = f.dy


@wrong(Residual, seen_by=BRANCH)
def residual_branch_given_half(self: Residual, f: Frame, train: bool) -> None:
    np.multiply(f.dy, 0.5, out=f.branch.dy)
    f.branch.backward(train)
    f.dx[...] = f.dy + f.branch.dx


def slope_of_way_around(s: Any, f: Frame) -> Array:
    return np.array(f.projection.dx if s.projection else f.dy)


def wide(a: Array, f: Frame) -> Array:
    """n c as n ... c, where it is not as wide as dy."""
    return a if a.ndim == f.dy.ndim else a.reshape(len(a), *(1,) * (f.x.ndim - 2), -1)


for part, what, change in (
    (Residual, "the way around overwrites", lambda s, f: np.copyto(f.dx, slope_of_way_around(s, f))),
    (Residual, "halved", lambda s, f: np.divide(f.dx, 2, out=f.dx)),
    (Reshape, "one to the right", lambda s, f: np.copyto(f.dx, np.roll(f.dx, 1))),
    (Upsample, "the mean of the copies", lambda s, f: np.divide(f.dx, np.prod(as_pair(s.factor)), out=f.dx)),
):
    wrong(part, name=what, seen_by=BRANCH if part is Residual else WITNESSES)(then(part, change))
for part, what, slope in (
    (Dropout, "another mask", lambda s, f: f.dy * np.roll(np.asarray(f.m), 1, -1)),
    (SpatialDropout, "mask missing", lambda s, f: f.dy / (1 - s.rate)),
    (SpatialDropout, "scale missing", lambda s, f: f.dy * (wide(f.m, f) > 0)),
    (SpatialDropout, "another mask", lambda s, f: f.dy * wide(np.roll(np.asarray(f.m), 1, -1), f)),
    (GaussianNoise, "scaled by the noise", lambda s, f: f.dy * (1 + s.stddev * f.z)),
    (Upsample, "one copy only", lambda s, f: f.dy[:, :: as_pair(s.factor)[0], :: as_pair(s.factor)[1]]),
    (ZeroPad, "the border of dy", lambda s, f: f.dy[tuple(slice(d) for d in f.dx.shape)]),
):
    wrong(part, name=what)(dx(slope))


# -------------------------------------------------------------------------------------------------------------- tokens
@wrong(Embedding, "tokens", "embedding_1.dW", "overwrite each other")
def rows_that_come_twice_overwritten(self: Embedding, f: Frame, train: bool) -> None:
    f.dW.fill(0)
    f.dW[f.ids] = f.dy
    if f.dx is not None:
        f.dx.fill(0)


def added_once(s: Any, f: Frame) -> None:
    """`dW[ids] += dy`, which NumPy does once for each number."""
    f.dW[...] = 0
    f.dW[f.ids.reshape(-1)] += f.dy.reshape(-1, f.dW.shape[1])


def averaged(s: Any, f: Frame) -> None:
    found = np.zeros_like(f.dW)
    np.add.at(found, f.ids.reshape(-1), f.dy.reshape(-1, f.dW.shape[1]))
    counts = np.bincount(f.ids.reshape(-1), minlength=len(f.dW))
    f.dW[...] = found / np.maximum(counts, 1)[:, None]


for change in (added_once, averaged):
    wrong(Embedding, name=change.__name__)(then(Embedding, change))


@wrong(Embedding, method="forward", seen_by=EQUATIONS)
def rows_of_their_neighbours(self: Embedding, f: Frame, train: bool) -> None:
    EMBEDDING(self, f, train)
    f.y[...] = f.W[np.minimum(f.ids + 1, len(f.W) - 1)]
