"""Executable index notation: the textbook equation of a part, evaluated by a machine.

    Eq("y[n,o]", "sum(i, x[n,i] * W[i,o]) + b[o]", "each unit weighs its inputs")

    expression   number, name, array[index,...], + - * / ** // %, comparisons (brackets of value 0 or 1),
                 function(...), reduction(index,..., body)
    index        one letter; in a reduction or on the left it may give its range: sum(u<k, v<k, ...), onehot[n,k<K]
    range        what `k<K` says; else the left side's engine array; else an array on which the letter stands alone;
                 else an earlier equation of the part; else an error
    ...          "the axes between", one meaning for all equations of a part: mean(n,..., x[n,...,c])
    reads        outside an array is an error; pad(x[...]) gives 0 there, pad(x[...], -inf) gives -inf
    where(c,a,b) the branch not taken raises nothing
    count(n,h)   how many values
    names        bare: before the step; `_new`: after it. `d` + a known name is a gradient

`syntax` is the tree, `functions` its vocabulary, `evaluate` its meaning; `text`, `latex` and `mathml` draw it, by what
`symbols` and `reader` say; `worked` puts the numbers of one entry in, and `calculator` reads such a line back.
"""

from bpcli.notation.evaluate import Program, compile_equations
from bpcli.notation.syntax import Eq, NotationError

__all__ = ["Eq", "NotationError", "Program", "compile_equations"]
