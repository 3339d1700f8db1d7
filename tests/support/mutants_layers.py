"""Wrong backward passes of layers on rows of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from mutants import RATE, mutant

from bpcli.family.plan import Frame
from bpcli.parts.activations import Gelu, LeakyRelu, Relu, Sigmoid, Silu, Softmax, Softplus, Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.parts.layers.dropout import Dropout
from bpcli.parts.layers.norms import BatchNorm, LayerNorm
from bpcli.parts.layers.residual import Residual

DENSE, RESIDUAL, DROPOUT = Dense.backward, Residual.backward, Dropout.backward
BATCH_NORM, LAYER_NORM = BatchNorm.backward, LayerNorm.backward

# --------------------------------------------------------------------------------------------------------------- dense
WEIGHTS, BIASES, INPUTS = "dense_1.dW, dense_2.dW", "dense_1.db, dense_2.db", "dense_1.dx, dense_2.dx"


@mutant("tanh", Dense, BIASES, "sum over all")
def bias_summed_over_all(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.db[...] = f.dy.sum()


@mutant("tanh", Dense, BIASES, "all 0")
def bias_missing(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.db[...] = 0


@mutant("tanh", Dense, BIASES, "1/N")
def bias_averaged(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.db[...] = f.dy.mean(0)


@mutant("tanh", Dense, BIASES, "dW summed over axis 0")
def bias_from_the_product(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.db[...] = (f.x.T @ f.dy).sum(0)


@mutant("tanh", Dense, BIASES, "only the first|n = 0|first term")
def bias_of_the_first_row(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.db[...] = f.dy[0]


@mutant("tanh", Dense, WEIGHTS, "1/N")
def weights_averaged(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[...] = f.x.T @ f.dy / len(f.x)


@mutant("square", Dense, WEIGHTS, "transposed")
def weights_transposed(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[...] = (f.x.T @ f.dy).T


@mutant("square", Dense, INPUTS, "W.* transposed|transposed.* W")
def inputs_through_untransposed_weights(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    if f.dx is not None:
        f.dx[...] = f.dy @ f.W


@mutant("tanh", Dense, INPUTS, "updated already \\(by 0.1 ")
def inputs_through_updated_weights(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    if f.dx is not None:
        f.dx[...] = f.dy @ (f.W - RATE * f.dW).T


@mutant("tanh", Dense, "", "changes its W", "re-entrant")
def weights_updated_inside_backward(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.W -= RATE * f.dW


@mutant("tanh", Dense, WEIGHTS, "n = 2 .*left out")
def last_row_skipped(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[...] = f.x[:-1].T @ f.dy[:-1]


@mutant("tanh", Dense, WEIGHTS, "only the entry \\[0,.*0")
def one_weight_zero(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[0, -1] = 0


@mutant("tanh", Dense, WEIGHTS, "only the entry \\[1,0\\].*1.01")
def one_weight_off_by_one_percent(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[1, 0] *= 1.01


@mutant("tanh", Dense, WEIGHTS, "index 0 is [13], the last")
def last_input_not_written(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[-1] = 0


@mutant("tanh", Dense, f"{WEIGHTS}, {BIASES}", "added to what stood there", "re-entrant")
def gradients_accumulate(self: Dense, f: Frame, train: bool) -> None:
    before = f.dW.copy(), f.db.copy()
    DENSE(self, f, train)
    f.dW += before[0]
    f.db += before[1]


@mutant("tanh", Dense, WEIGHTS, "float32")
def weights_in_float32(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dW[...] = f.x.T.astype(np.float32) @ f.dy.astype(np.float32)


@mutant("tanh", Dense, INPUTS, "whole numbers")
def inputs_in_integers(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    if f.dx is not None:
        f.dx[...] = f.dx.astype(np.int64)


@mutant("tanh", Dense, INPUTS, "sign")
def inputs_with_the_wrong_sign(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    if f.dx is not None:
        f.dx *= -1


@mutant("tanh", Dense, "", "changes its dy", "re-entrant")
def error_scaled_in_place(self: Dense, f: Frame, train: bool) -> None:
    DENSE(self, f, train)
    f.dy *= 0.5


# --------------------------------------------------------------------------------------------------------- activations
def logistic(z: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(z, -700, 700)))


@mutant("sigmoid", Sigmoid, "sigmoid_1.dx", "at the output y")
def slope_of_the_output(self: Sigmoid, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * logistic(f.y) * (1 - logistic(f.y))


@mutant("sigmoid", Sigmoid, "sigmoid_1.dx", r"factor \(?1 - y.* left out")
def slope_without_one_minus(self: Sigmoid, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * f.y


@mutant("sigmoid", Sigmoid, "sigmoid_1.dx", "slope is forgotten")
def slope_forgotten(self: Sigmoid, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy


@mutant("sigmoid", Sigmoid, "sigmoid_1.dx", "sum over all of them")
def dot_for_times(self: Sigmoid, f: Frame, train: bool) -> None:
    f.dx[...] = np.vdot(f.dy, f.y * (1 - f.y))


@mutant("tanh", Tanh, "tanh_1.dx", "x is (put in|read)")
def square_of_the_input(self: Tanh, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (1 - f.x**2)


@mutant("tanh", Tanh, "tanh_1.dx", "power is left out")
def tanh_not_squared(self: Tanh, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (1 - f.y)


@mutant("tanh", Tanh, "tanh_1.dx", "sign")
def tanh_plus_for_minus(self: Tanh, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (1 + f.y**2)


@mutant("relu", Relu, "relu_1.dx", "slope is forgotten|gate")
def relu_passes_all(self: Relu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy


@mutant("relu", Relu, "relu_1.dx", "error dy", "linear")
def relu_gate_from_the_gradient(self: Relu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.dy > 0)


@mutant("relu", Relu, "relu_1.dx", "both sides are equal")
def relu_open_at_zero(self: Relu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.x >= 0)


@mutant("relu", Relu, "relu_1.dx", "branches are exchanged")
def relu_gate_turned(self: Relu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.x < 0)


@mutant("leaky_relu", LeakyRelu, "leaky_relu_1.dx", "slope = 0.01 is taken for 0")
def leak_forgotten(self: LeakyRelu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.x > 0)


@mutant("gelu", Gelu, "gelu_1.dx", r"cdf.*only|only.*cdf|left out")
def gelu_without_density(self: Gelu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * f.cdf


@mutant("gelu tanh", Gelu, "gelu_1.dx", "x.*2.* left out.* in slope")
def gelu_inner_slope_constant(self: Gelu, f: Frame, train: bool) -> None:
    tanh = 2 * f.cdf - 1
    f.dx[...] = f.dy * (f.cdf + 0.5 * f.x * (1 - tanh**2) * np.sqrt(2 / np.pi))


@mutant("gelu tanh", Gelu, "gelu_1.dx", "factor 3 is left out")
def gelu_cube_not_differentiated(self: Gelu, f: Frame, train: bool) -> None:
    tanh = 2 * f.cdf - 1
    inner = np.sqrt(2 / np.pi) * (1 + 0.044715 * f.x**2)
    f.dx[...] = f.dy * (f.cdf + 0.5 * f.x * (1 - tanh**2) * inner)


@mutant("silu", Silu, "silu_1.dx", "left out")
def silu_sigmoid_as_if_constant(self: Silu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * f.p


@mutant("softplus", Softplus, "softplus_1.dx", "beta")
def softplus_beta_forgotten(self: Softplus, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * logistic(f.x)


@mutant("softmax", Softmax, "softmax_1.dx", "its own input")
def softmax_diagonal(self: Softmax, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * f.y * (1 - f.y)


@mutant("softmax", Softmax, "softmax_1.dx", "term .* left out")
def softmax_mean_not_taken_off(self: Softmax, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * f.y


@mutant("softmax", Softmax, "softmax_1.dx", "axis")
def softmax_along_the_rows(self: Softmax, f: Frame, train: bool) -> None:
    f.dx[...] = f.y * (f.dy - (f.dy * f.y).sum(0))


# ------------------------------------------------------------------------------------------------------- normalization
@mutant("batch_norm", BatchNorm, "batch_norm_1.dx", "gamma.* (left out|is missing)")
def gain_ignored(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    f.dx /= f.gamma


def parts_of(f: Frame) -> tuple[Any, Any]:
    """The normalized inputs and their slopes, of a layer on rows."""
    return f.centred * f.rstd, f.dy * f.gamma


@mutant("batch_norm", BatchNorm, "batch_norm_1.dx", r"of dx only dL/dxhat.* is counted")
def statistics_as_if_constant(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    f.dx[...] = f.dy * f.gamma * f.rstd


@mutant("batch_norm", BatchNorm, "batch_norm_1.dx", "dmu.* is left out")
def no_path_through_the_mean(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    xhat, slope = parts_of(f)
    if train:
        f.dx[...] = f.rstd * (slope - xhat * (slope * xhat).mean(0))


@mutant("batch_norm", BatchNorm, "batch_norm_1.dx", "dvar.* is left out")
def no_path_through_the_variance(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    if train:
        slope = parts_of(f)[1]
        f.dx[...] = f.rstd * (slope - slope.mean(0))


@mutant("batch_norm", BatchNorm, "batch_norm_1.dx", "- 1 and not by")
def variance_unbiased_in_backward(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    xhat, slope = parts_of(f)
    if train:
        f.dx[...] = f.rstd * (slope - slope.mean(0) - xhat * (slope * xhat).sum(0) / (len(xhat) - 1))


@mutant("batch_norm", BatchNorm, "batch_norm_1.dgamma", "x is read where xhat is meant")
def gain_from_raw_inputs(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    f.dgamma[...] = (f.dy * f.x).sum(0)


@mutant("batch_norm", BatchNorm, "batch_norm_1.dx", "axis")
def batch_statistics_along_the_wrong_axis(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    xhat, slope = parts_of(f)
    if train:
        means = slope.mean(1, keepdims=True), (slope * xhat).mean(1, keepdims=True)
        f.dx[...] = f.rstd * (slope - means[0] - xhat * means[1])


@mutant("batch_norm", BatchNorm, "batch_norm_1.dx", "of one row moves")
def evaluation_differentiates_the_batch(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    xhat, slope = parts_of(f)
    if not train:
        f.dx[...] = f.rstd * (slope - slope.mean(0) - xhat * (slope * xhat).mean(0))


@mutant("layer_norm", LayerNorm, "layer_norm_1.dx", "axis")
def layer_statistics_along_the_wrong_axis(self: LayerNorm, f: Frame, train: bool) -> None:
    LAYER_NORM(self, f, train)
    slope = f.dy * f.gamma
    f.dx[...] = f.rstd * (slope - slope.mean(0) - f.xhat * (slope * f.xhat).mean(0))


@mutant("layer_norm", LayerNorm, "layer_norm_1.dx", "dmu.* is left out")
def layer_norm_without_the_mean(self: LayerNorm, f: Frame, train: bool) -> None:
    LAYER_NORM(self, f, train)
    slope = f.dy * f.gamma
    f.dx[...] = f.rstd * (slope - f.xhat * (slope * f.xhat).mean(-1, keepdims=True))


# --------------------------------------------------------------------------------------------------- dropout, residual
@mutant("dropout", Dropout, "dropout_1.dx", "mask|m\\[n,i\\] is (forgotten|left out)")
def dropout_without_its_mask(self: Dropout, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy / (1 - self.rate) if train else f.dy


@mutant("dropout", Dropout, "dropout_1.dx", r"1 - rate")
def dropout_without_its_scale(self: Dropout, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.m > 0) if train else f.dy


@mutant("dropout", Dropout, "dropout_1.dx", "slope is forgotten|factor m.* left out")
def dropout_forgotten(self: Dropout, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy


@mutant("dropout", Dropout, "dropout_1.dx", "draws by chance", "re-entrant")
def dropout_mask_drawn_again(self: Dropout, f: Frame, train: bool) -> None:
    DROPOUT(self, f, train)
    if train:
        f.dx[...] = f.dy * (REDRAWN.random(f.dy.shape) >= self.rate) / (1 - self.rate)


REDRAWN = np.random.default_rng(3)


@mutant("dropout", Dropout, "dropout_1.dx", "times m")
def dropout_at_evaluation(self: Dropout, f: Frame, train: bool) -> None:
    DROPOUT(self, f, True)


@mutant("residual", Residual, "residual_1.dx", "term dL/dy.* is left out")
def fork_overwritten(self: Residual, f: Frame, train: bool) -> None:
    RESIDUAL(self, f, train)
    f.dx[...] = f.branch.dx


@mutant("residual", Residual, "residual_1.dx", "branch_(x|dx).* is left out|slope is forgotten")
def branch_forgotten(self: Residual, f: Frame, train: bool) -> None:
    RESIDUAL(self, f, train)
    f.dx[...] = f.dy
