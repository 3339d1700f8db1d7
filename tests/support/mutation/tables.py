"""What is put in place of what."""

from __future__ import annotations

import ast
import re

ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Pow: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.MatMult: ast.Mult,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip
FUNCTIONS = {
    "add": "subtract", "subtract": "add", "multiply": "divide", "divide": "multiply", "maximum": "minimum",
    "minimum": "maximum", "max": "min", "min": "max", "any": "all", "all": "any", "exp": "expm1", "expm1": "exp",
    "log": "log1p", "log1p": "log", "argmax": "argmin", "argmin": "argmax", "sum": "max", "mean": "sum",
    "floor": "ceil", "ceil": "floor", "greater": "greater_equal", "greater_equal": "greater", "less": "less_equal",
    "less_equal": "less", "startswith": "endswith", "zeros": "ones", "ones": "zeros", "logical_and": "logical_or",
    "logical_or": "logical_and", "sqrt": "square", "square": "sqrt", "sin": "cos", "cos": "sin", "lstrip": "rstrip",
    "partition": "rpartition", "rpartition": "partition",
}  # fmt: skip
SYMMETRIC = {
    "add", "multiply", "maximum", "minimum", "max", "min", "logical_and", "logical_or", "equal", "not_equal", "gcd",
    "array_equal", "hypot", "bitwise_or", "bitwise_and", "suppress",
}  # fmt: skip
"""Functions whose first two arguments may change places."""

FOR_CHECKERS = {"strict", "description", "title", "examples", "encoding", "help", "stacklevel"}
"""Keywords that assert or document, and compute nothing."""

NOT_MUTATED = {"__all__", "__slots__", "TIES", "HUGE"}
"""Names of lists for importers, and of inputs that samples of parts are made of: samples are tests."""

NOT_RUN = {"cast", "TypeVar", "NewType"}
EQUATION_TOKENS = re.compile(
    r"(?P<number>(?<![\w.])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))|(?P<operator>\*\*|//|<=|>=|==|!=|[-+*/%<>])"
    r"|(?P<call>\b[a-z_]\w*(?=\())|(?P<pair>\b[a-z]\b,\s?[a-z]\b(?=[\],]))|(?P<offset>(?<=[\[,])[a-z](?=[\],]))"
)
EQUATION_SWAPS = {
    "+": "-", "-": "+", "*": "/", "/": "*", "**": "*", "//": "/", "%": "//", "<": "<=", "<=": "<", ">": ">=",
    ">=": ">", "==": "!=", "!=": "==", "exp": "expm1", "expm1": "exp", "log": "log1p", "log1p": "log", "max": "min",
    "min": "max", "sum": "mean", "mean": "sum", "argmax": "max", "sin": "cos", "cos": "sin", "sqrt": "abs",
    "abs": "sign", "sign": "abs", "tanh": "sin", "prod": "sum", "floor": "sign", "xlogy": "min", "log1pexp": "exp",
    "pad": "abs", "erf": "tanh",
}  # fmt: skip
