"""What a part of a family is unless its class says otherwise, and what each part of the package says of itself.

A user's own parts rely on the first (`bpcli guide custom_parts`), the commands on the second: which losses classify,
which initializers suit an activation, which rows may be run apart.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError
from registry import good

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import (
    Activation,
    Augmentation,
    Clipper,
    Constraint,
    Frame,
    FullBatchOptimizer,
    GradientOptimizer,
    Initializer,
    Layer,
    Loss,
    Metric,
    Optimizer,
    Param,
    Part,
    Plan,
    Regularizer,
    Sample,
    Scaler,
    Schedule,
    Scored,
    Slot,
    Source,
    Table,
    Treatment,
    empty,
)
from bpcli.family.part import DeclarationError, dump, families, join_names, near, settings_of, suggestion
from bpcli.family.plan import N, ShapeError
from bpcli.parts.schedules import Constant

DEFAULTS: dict[type[Part], dict[str, Any]] = {
    Layer: {"family": "layer", "moves": False, "relabels": False, "normalizes": False, "fully_connected": False,
            "link": None, "rows_are_independent": False},
    Activation: {"family": "activation", "default_init": "glorot_uniform", "elementwise": True,
                 "rows_are_independent": False},
    Loss: {"family": "loss", "targets": "values", "link": "identity", "default_metrics": (), "behind_link": "",
           "least_squares": False},
    Regularizer: {"family": "penalty", "quadratic": False},
    Constraint: {"family": "constraint"},
    Clipper: {"family": "clipping", "per_tensor": False},
    Schedule: {"family": "schedule"},
    Optimizer: {"family": "optimizer", "full_batch": False},
    GradientOptimizer: {"family": "optimizer", "full_batch": False, "one_rate": False},
    FullBatchOptimizer: {"family": "optimizer", "full_batch": True, "least_squares": False, "row_by_row": False,
                         "reported": ()},
    Initializer: {"family": "initializer", "signal_gain": 0.0, "both_fans": False},
    Metric: {"family": "metric", "task": "any", "better": "higher"},
    Scaler: {"family": "scaling", "identity": False, "sorts": False},
    Source: {"family": "data source", "endings": (), "file_settings": (), "gzipped": False, "pixels": False,
             "classifies": False},
    Augmentation: {"family": "augmentation"},
}  # fmt: skip
"""By family, what its class says."""


def test_a_part_is_what_its_family_says_unless_it_says_otherwise() -> None:
    """It need not state equations nor samples nor memory: its class is enough where it has no more to say."""
    nobody: Any = None
    for family, said in DEFAULTS.items():
        assert {name: getattr(family, name) for name in said} == said
    for family in (Constraint, Clipper, Schedule, Optimizer, GradientOptimizer, FullBatchOptimizer, Regularizer):
        assert family.equations(nobody) == ()  # type: ignore[attr-defined]
    assert Layer.equations(nobody, True, (3,)) == ()
    assert Loss.equations(nobody, False) == ()
    assert list(Layer.samples()) == list(Loss.samples()) == list(Part.samples()) == []
    assert Layer.plan(nobody, (3, 2)) == Loss.plan(nobody, (3, 2)) == Plan(y=(3, 2))
    assert Layer.expand(nobody) == (("", nobody),)
    assert Clipper.state(nobody) == Schedule.state(nobody) == Augmentation.work(nobody, (1, 1, 1)) == {}
    assert (Schedule.watched(nobody), Schedule.check(nobody, 9)) == ("", ())
    assert Metric.check(nobody, 3, False, True) == Loss.check(nobody, np.zeros((1, 1))) == ""
    assert Loss.mean_weight(nobody, Frame()) == 1.0
    assert GradientOptimizer.slots.fget(nobody) == GradientOptimizer.scratch.fget(nobody) == ()  # type: ignore[attr-defined]
    assert Initializer.variance(Initializer.parse("zeros"), 3, 4) == 0
    assert not Source.reads(Path("a.csv"))


def test_a_plan_asks_for_nothing_that_it_does_not_name() -> None:
    plan = Plan(y=(3,))
    assert {k: v for k, v in vars(plan).items() if k != "y"} == {
        **{name: {} for name in ("params", "keep", "scratch", "draws", "state", "consts", "inside")},
        "skips_dx": False, "tokens": 0, "multiply_adds": 0,
    }  # fmt: skip
    assert vars(Param((3,))) == {"shape": (3,), "init": None, "fan_in": 1, "fan_out": 1, "decays": False}
    no_limits = {"limits": (-math.inf, math.inf), "whole": False}
    assert vars(Slot((N, 3))) == {"shape": (N, 3), "dtype": "float", "start": 0.0} | no_limits
    assert vars(Sample(None)) == {"part": None, "x": (), "batch": 3, "error": "", "note": "", "inputs": {},
                                  "scale": 1.0, "kinks": ()}  # fmt: skip
    assert ShapeError("t").help == ""
    assert not empty(Slot((N,)), 3, np.float32).any()


def test_an_array_for_a_slot_is_zero_and_of_its_type() -> None:
    for kind, found in (("float", np.float32), ("float64", np.float64), ("bool", np.bool_), ("byte", np.uint8),
                        ("int", np.int64), ("float32", np.float32)):  # fmt: skip
        array = empty(Slot((N, 2, N), kind), 3, np.float32)  # type: ignore[arg-type]
        assert (array.shape, array.dtype) == ((3, 2, 3), found)
        assert not array.any()


def test_an_optimizer_remembers_and_works_in_the_vectors_that_it_names() -> None:
    adam = Optimizer.parse("adam")
    assert isinstance(adam, GradientOptimizer)
    assert adam.state(7) == {name: Slot((7,)) for name in adam.slots}
    assert adam.work(7) == {name: Slot((7,)) for name in adam.scratch}
    assert len(adam.slots) == 2


def test_the_variance_of_an_initializer_is_that_of_its_fans() -> None:
    for kind, variance in (("he_normal", 2 / 4), ("lecun_normal", 1 / 4), ("glorot_normal", 1 / 6), ("normal", 0.0)):
        assert Initializer.parse(kind).variance(4, 8) == variance


# ------------------------------------------------------------------------------------ what the parts say of themselves
TRAITS: list[tuple[type[Part], str, dict[Any, str]]] = [
    (Layer, "moves", {True: "flatten reshape zero_pad upsample"}),
    (Layer, "relabels", {True: "identity flatten reshape"}),
    (Layer, "normalizes", {True: "group_norm layer_norm batch_norm"}),
    (Layer, "fully_connected", {True: "dense"}),
    (Layer, "link", {"sigmoid": "sigmoid", "softmax": "softmax"}),
    (Layer, "rows_are_independent", {False: "batch_norm"}),
    (Activation, "default_init", {"he_normal": "relu leaky_relu softplus elu silu mish gelu", "lecun_normal": "selu"}),
    (Activation, "elementwise", {False: "softmax"}),
    (Loss, "targets", {"classes": "cross_entropy multiclass_hinge softmax_cross_entropy focal"}),
    (Loss, "link", {"sigmoid": "binary_cross_entropy", "probabilities": "cross_entropy", "exp": "poisson",
                    "margin": "hinge squared_hinge multiclass_hinge",
                    "softmax": "softmax_cross_entropy kl_divergence focal"}),
    (Loss, "default_metrics", {("mae", "r2"): "mean_squared_error squared_error mean_absolute_error huber log_cosh "
                               "poisson"}),
    (Loss, "behind_link", {"cross_entropy": "softmax_cross_entropy"}),
    (Loss, "least_squares", {True: "mean_squared_error squared_error"}),
    (Regularizer, "quadratic", {True: "l2"}),
    (Clipper, "per_tensor", {True: "norm adaptive"}),
    (Optimizer, "full_batch", {True: "lbfgs levenberg_marquardt rprop"}),
    (GradientOptimizer, "one_rate", {True: "sgd momentum nesterov"}),
    (FullBatchOptimizer, "least_squares", {True: "levenberg_marquardt"}),
    (FullBatchOptimizer, "row_by_row", {True: "levenberg_marquardt"}),
    (Initializer, "signal_gain", {1.0: "glorot_uniform glorot_normal lecun_uniform lecun_normal",
                                  2.0: "he_uniform he_normal"}),
    (Initializer, "both_fans", {True: "glorot_uniform glorot_normal"}),
    (Metric, "task", {"regression": "mse rmse mae r2 explained_variance", "any": "capped_loss"}),
    (Metric, "better", {"lower": "log_loss brier mse rmse mae capped_loss"}),
    (Metric, "of_losses", {True: "capped_loss"}),
    (Scaler, "identity", {True: "none"}),
    (Scaler, "sorts", {True: "robust"}),
    (Source, "gzipped", {True: "csv idx npy"}),
    (Source, "pixels", {True: "images"}),
    (Source, "classifies", {True: "images"}),
    (Source, "endings", {(".csv", ".tsv", ".txt"): "csv", ("ubyte", ".idx"): "idx", (".npy",): "npy",
                         (".npz",): "npz", (".parquet",): "parquet", (): "inline synthetic"}),
    (Source, "file_settings", {("path",): "csv images npz parquet", ("inputs", "targets"): "idx",
                               ("path", "targets"): "npy"}),
]  # fmt: skip
REST: dict[str, Any] = {
    "moves": False, "relabels": False, "normalizes": False, "fully_connected": False, "link": (None, "identity"),
    "rows_are_independent": True, "default_init": "glorot_uniform", "elementwise": True, "targets": "values",
    "default_metrics": ("accuracy",), "behind_link": "", "least_squares": False, "quadratic": False,
    "per_tensor": False, "full_batch": False, "one_rate": False, "row_by_row": False, "signal_gain": 0.0,
    "both_fans": False, "task": "classification", "better": "higher", "of_losses": False,
    "identity": False, "sorts": False, "gzipped": False, "pixels": False, "classifies": False, "file_settings": (),
}  # fmt: skip
"""What all others say."""


KINDS = """
accuracy adadelta adagrad adam adamax adamw adaptive average_precision avg_pool2d balanced_accuracy batch_norm
binary_cross_entropy brier capped_loss constant conv1d conv2d conv_transpose2d cosine cross_entropy csv cutout dense
dropout elastic_net elu embedding explained_variance exponential f1 flatten flip focal gaussian_noise gelu
global_avg_pool global_max_pool global_norm glorot_normal glorot_uniform group_norm hard_sigmoid hard_tanh he_normal
he_uniform hinge huber identity idx images inline inverse_time kl_divergence l1 l2 layer_norm lbfgs leaky_relu
lecun_normal lecun_uniform levenberg_marquardt lion log_cosh log_loss mae matthews max_norm max_pool2d
mean_absolute_error mean_squared_error minmax mish momentum mse multi_step multiclass_hinge nadam nesterov none norm
normal npy npz one_cycle orthogonal parquet percentile plateau poisson polynomial precision r2 radam recall relu
reshape residual rmse rmsprop robust roc_auc rotate rprop selu sgd shift sigmoid silu softmax softmax_cross_entropy
softplus softsign spatial_dropout squared_error squared_hinge standardize step synthetic tanh top_k truncated_normal
uniform upsample value values warmup zero_pad zeros zscore
"""
KNOWN = set(KINDS.split())
"""The parts that the tables above are about: a new one says what it says, and the laws hold it to that."""


def test_what_the_parts_of_the_package_say() -> None:
    """Each with the settings of its first sample, or its defaults."""
    parts: dict[type[Part], Part] = {}
    for _, sample in good():
        if isinstance(sample.part, Part):
            parts.setdefault(type(sample.part), sample.part)
    for family, trait, kinds in TRAITS:
        ours = {k: leaf for k, leaf in family.registry.items() if leaf.__module__.startswith("bpcli.") and k in KNOWN}
        found = {kind: getattr(parts[leaf] if leaf in parts else leaf(), trait) for kind, leaf in ours.items()}
        rest = dict(found)
        for value, names in kinds.items():
            assert {kind for kind in found if found[kind] == value} == set(names.split()), (family.family, trait, value)
            rest = {kind: said for kind, said in rest.items() if said != value}
        if trait == "endings":
            assert set(rest) == {"images"}
            continue
        other = REST[trait] if trait != "link" else REST[trait][family is Loss]
        assert set(rest.values()) == {other}, (family.family, trait)


def test_a_loss_classifies_by_its_link() -> None:
    for kind, classifies, probabilities in (
        ("softmax_cross_entropy", True, True), ("binary_cross_entropy", True, True), ("cross_entropy", True, True),
        ("hinge", True, False), ("mean_squared_error", False, False), ("poisson", False, False),
    ):  # fmt: skip
        loss = Loss.parse(kind)
        assert (loss.classifies, loss.gives_probabilities) == (classifies, probabilities)
    assert not Loss.parse("softmax_cross_entropy").weighs_classes
    assert Loss.parse({"type": "softmax_cross_entropy", "class_weights": {"a": 1.0, "b": 2.0}}).weighs_classes
    assert not Loss.parse("mean_squared_error").weighs_classes


# ------------------------------------------------------------------------------------------------------- part and table
def test_a_part_is_read_from_its_name_or_its_settings_and_dumped_as_the_settings_it_has() -> None:
    dense = Layer.parse({"type": "dense", "units": 3})
    assert Layer.parse(dense) is dense
    assert Layer.parse("relu").kind == "relu"
    assert dump(dense)["type"] == "dense"
    assert list(dump(dense))[:1] == ["type"]
    assert "name" not in dump(dense)
    assert Layer.parse(dump(dense)) == dense
    assert Constant.parse({"type": "constant", "value": 0.5}).consts() == {"value": 0.5}
    assert all(name != "type" for name in (f.alias for f in settings_of(type(dense))))
    assert len(settings_of(type(dense))) == len(type(dense).model_fields) - 1


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (3, "no_type", "this is not a layer: write a name, or {type: name, ...}; known: "),
        ({"units": 3}, "no_type", "this is not a layer"),
        ({"type": 3}, "unknown_type", "unknown layer `3`; known: "),
        ("rleu", "unknown_type", "unknown layer `rleu`; known: "),
        ({"type": "rleu"}, "unknown_type", "unknown layer `rleu`; known: "),
    ],
)
def test_what_is_no_part_says_what_is_known(value: Any, kind: str, said: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        Layer.parse(value)
    error: Any = caught.value
    assert error.type == kind
    assert error.message().startswith(said)
    assert "dense" in error.context["known"]
    assert kind == "no_type" or error.context["near"] == ("relu" if "rleu" in str(value) else "")


def test_settings_are_frozen_and_strict_and_no_others_are_taken() -> None:
    for bad in ({"units": 3, "colour": 1}, {"units": "3"}, {}):
        with pytest.raises(ValidationError):
            Layer.parse({"type": "dense", **bad})
    dense = Layer.parse({"type": "dense", "units": 3})
    with pytest.raises(ValidationError):
        dense.units = 4  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["a", "Z9_", "a" * 64])
def test_names_that_a_layer_may_have(name: str) -> None:
    assert Layer.parse({"type": "relu", "name": name}).name == name


@pytest.mark.parametrize("name", ["", "9a", "_a", "a-b", "a" * 65, "data", "loss", "penalty", "state", "é"])
def test_names_that_no_layer_can_have(name: str) -> None:
    with pytest.raises(ValidationError, match="is none of data, loss, penalty, state"):
        Layer.parse({"type": "relu", "name": name})


def test_what_was_meant_is_suggested_and_long_lists_are_cut() -> None:
    assert suggestion("rleu", ["relu", "tanh"]) == "did you mean `relu`? "
    assert suggestion("xyz", ["relu", "tanh"]) == ""
    assert near("RELU", ["relu", "ReLU"]) == "ReLU"
    assert near("xyz", []) is None
    names = [str(i) for i in range(23)]
    assert join_names(names) == ", ".join(names[:20]) + " and 3 more"
    assert join_names(names[:20]) == ", ".join(names[:20])
    assert join_names(names, 2) == "0, 1 and 21 more"


def test_families_are_listed_behind_the_one_that_they_are_in() -> None:
    found = families()
    assert set(DEFAULTS) <= set(found)
    assert found.index(Layer) < found.index(Activation)
    assert found.index(Optimizer) < found.index(GradientOptimizer)
    assert "relu" in Activation.registry
    assert Layer.registry["relu"] is Activation.registry["relu"]
    assert "dense" not in Activation.registry
    assert isinstance(DeclarationError("text", "help"), TypeError)
    assert DeclarationError("text", "help").help == "help"


def test_a_number_is_a_schedule_and_true_is_none() -> None:
    assert Schedule.parse(0.5) == Schedule.parse({"type": "constant", "value": 0.5})
    assert Schedule.parse(1) == Schedule.parse({"type": "constant", "value": 1.0})
    assert Schedule.shorthand("cosine") == {"type": "cosine"}
    for bad in (True, [1], None):
        with pytest.raises(ValueError, match="this is not a schedule"):
            Schedule.parse(bad)


def test_a_treatment_leaves_everything_to_the_file_and_takes_each_part_of_a_date_once() -> None:
    nothing = {"parts": ("days",), "missing_values": ()}
    assert Treatment().model_dump() == {**dict.fromkeys(Treatment.model_fields), **nothing}
    assert Treatment(parts=("year", "hour")).parts == ("year", "hour")
    for bad in ((), ("year", "year"), ("century",)):
        with pytest.raises(ValidationError):
            Treatment.model_validate({"parts": bad})


def test_a_table_knows_its_rows_where_columns_stand_and_what_they_hold() -> None:
    table = Table(np.zeros((4, 2)), {"t": np.array(["a"] * 4)}, ("x", "d"), ("x", "t", "d"), None, (), "f",
                  kinds={"d": "date"})  # fmt: skip
    assert (table.rows, table.at) == (4, {"x": 0, "d": 1})
    assert [table.kind(name) for name in ("x", "t", "d")] == ["number", "text", "date"]
    assert (table.row_names, table.warnings, table.others, table.aside, table.treatments) == ((), (), (), {}, {})
    assert (table.pivot, table.weight, table.locate) == (None, None, None)
    scored = Scored(np.zeros(1), np.zeros(1), None, np.ones(1), np.ones(1), 2)
    assert scored.guesses is scored.predicted
    assert scored.several is False
