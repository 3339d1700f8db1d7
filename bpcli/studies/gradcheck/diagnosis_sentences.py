"""Every sentence of gradcheck's diagnosis, by the mistake that it names.

The first word of a key is the code that `--json` gives; what stands in {braces} is filled in.
The sentences are those of kernels, with their letters x and y; `bpcli mark` has its own, of derivations by hand, in
`mistakes/claim_hypotheses`.
"""

SENTENCES = {
    # ------------------------------------------------------------------------------ a mistake in the part's equations
    "no-slope": "the error is passed on as it arrives: the slope is forgotten",
    "slope-at-y": "the slope is taken at the output y; it belongs at the input x",
    "slope-at-x": "the slope is written by the output y, and the input x is put in",
    "from-gradient": "the slope is taken where the error dy is, not at the input x",
    "other-slope": "backward computes the slope of {activation}",
    "slope shown": "the slope is {places}",
    "slope place": "{expected:.4g} and not {kernel:.4g} at x = {x:.4g}",
    "factor": "the factor {0} is left out{at} in {name}",
    "divisor": "the division by {0} is left out in {name}",
    "divisor summed": "{0} is a sum where a mean is meant, in {name}",
    "inverted": "it is multiplied by {0} and not divided in {name}",
    "term": "the term {0} is left out in {name}",
    "term number": "{1} is taken where {2} is meant, in {name}",
    "term only": "of {name} only {all} is counted",
    "dropped-term": "the term {index} = {term} of the sum is left out in {name}",
    "twice": "the term {0} is counted twice in {name}",
    "sign plus": "a sign is mistaken in {0}, in {name}",
    "sign minus": "a sign is mistaken in {0}, in {name}",
    "sign lost": "a sign is mistaken in {0}, in {name}",
    "power": "the power is left out of {0} in {name}",
    "function": "{0} lacks its function in {name}",
    "averaged": "a mean is taken where a sum is meant, in {name}",
    "diagonal": "of the slopes only those of each output by its own input are counted",
    "diagonal term": "of {0} only the term {letters[0]} = {letters[1]} is counted: each place by its own input alone",
    "edge": "where both sides are equal the other branch is taken: {0}",
    "unbiased": "it is divided by {0} - 1 and not by {0}, in {name}",
    "transposed read": "{0} is read transposed in {name}",
    "transposed parameter": "{array} is read transposed",
    "flipped parameter": "{array} is read back to front along its axes {axes}",
    "branches exchanged": "the branches are exchanged where {0}",
    "branches not asked": "{0} is not asked, in {name}",
    "branches never true": "{0} is taken as never true, in {name}",
    "bound": "{0} is not cut off in {name}",
    "axis": "{0} is taken along {letters[0]}, the wrong axis",
    "other-array": "{other} is read where {array} is meant, in {name}",
    "overwritten": "the terms over {indices} overwrite each other: one is kept, and they are to be added (+=)",
    "first-only": "only the first term over {indices} is counted",
    "other-sum": "it is {array} summed over axis {axes}",
    "setting taken": "{setting} = {value:g} is taken for {other}",
    "cut": "{array} is cut off {side} at {bound:.6g} in backward, and is not in forward",
    "updated-weights": "it is computed with a {weights} that was updated already (by {rate:.3g} times its gradient)",
    "nearly": "nearly: {text}; what is left of the difference is {left:.0e} of it, something else",
    # --------------------------------------------------------------------------------------------- of the whole pass
    "forward": "backward is that of the equations, and forward is not the same function: {tensor} is wrong",
    "forward gap": (
        "the forward pass computes {kernel:.6g} where its equations give {equations:.6g}{at}: "
        "the two are not the same function, so no backward pass can match both"
    ),
    "updated-weights moved": "the pass backward moves {weights}, and what comes after sees updated weights",
    "accumulates": "it is added to what stood there before (+=): a second call gives it twice",
    "unsteady": "it is another when computed a second time: backward draws by chance, or changes what it reads",
    "axis leans": "{by} of one {line} moves what stands in the others, and must not",
    "axis must lean": "{by} of one {line} must move what stands in the others, and does not",
    "axis mixed": "{lines}: a sum or a mean goes along the wrong axis, or over one too many or too few",
    # ------------------------------------------------------------------------------------- of the gradient's numbers
    "not-finite": "it holds numbers that are not finite{where}: a division by 0, or a number too large",
    "missing": "it is all 0: backward never writes it, or nothing arrives",
    "integers": "it holds whole numbers only: a buffer of integers",
    "precision type": "its numbers are rounded to {type}: a buffer or a cast is of that type",
    "precision": "it is right to {gap:.0e} only: somewhere on the way numbers are float32",
    "sign": "the sign is turned: kernel / expected = -1 everywhere",
    "sign and": "the sign is turned, and {text}",
    "factor-2": "kernel / expected = 2 everywhere: a factor 2 too many, or a 1/2 forgotten",
    "factor-1/2": "kernel / expected = 1/2 everywhere: a factor 2 forgotten, or a 1/2 too many",
    "not-divided-{a}": "kernel / expected = {a} ({a} = {m}): it is not divided by the {counted}",
    "divided-{a}": "kernel / expected = 1/{a} ({a} = {m}): it is divided by the {counted} once too often",
    "not-divided-{a} squared": "kernel / expected = {a}^2 ({a} = {m})",
    "divided-{a} squared": "kernel / expected = 1/{a}^2 ({a} = {m})",
    "not-divided-{a} less one": "kernel / expected = {a} - 1 ({a} = {m})",
    "unbiased more": "kernel / expected = {a}/({a} - 1) ({a} = {m})",
    "unbiased less": "kernel / expected = ({a} - 1)/{a} ({a} = {m})",
    "not-divided": "kernel / expected = {a} {b} = {both}: it is not divided by the number of values",
    "divided twice": "kernel / expected = 1/({a} {b}): it is divided by the number of values twice",
    "divided ratio": "kernel / expected = {a}/{b} ({m}/{k})",
    "setting": "kernel / expected = {shown} ({setting} = {value:g}) everywhere",
    "ratio": "kernel / expected = {ratio} everywhere: a factor is missing or one too many",
    "transposed": "it is transposed: what belongs to [i,j] stands at [j,i]",
    "one-entry zero": "only the entry [{where}] is wrong: it is 0, all others are right",
    "one-entry ratio": "only the entry [{where}] is wrong: kernel / expected = {ratio}, all others are right",
    "one-entry": "only the entry [{where}] is wrong: {value:.6g}, all others are right",
    "summed-all": "every entry is the sum over all of them: it is summed over one axis too many",
    "overwrites": "what stood in the gradient before is overwritten, and must be added to (+=)",
    "proportional": "kernel - expected = {ratio:.6g} times {array}: is a penalty on it added or left out?",
    "factor-twice": "kernel = expected times {shown}: that factor is one too many",
    "factor-missing": "expected = kernel times {shown}: that factor is missing",
    "ties": "it is wrong where inputs are equal only: several largest ones win, or the other branch is taken",
    "mask": "it is not 0 where it must be: a mask or a gate is missing",
    "mask other": "it is 0 in other places than it must be, and right elsewhere: another mask than that of forward",
    "broadcast twice": "kernel / expected = {array}, the same all along axis {axis}: {array} is one time too many",
    "broadcast missing": "expected / kernel = {array}, the same all along axis {axis}: the factor {array} is missing",
    "broadcast": "kernel / expected is the same all along axis {axis}: ({values}); a factor of that shape is missing",
    "constant-gap": "kernel - expected is the same all along axis {axis}: a term summed over it is wrong",
    "constant-gap all": "kernel - expected = {gap:.4g} everywhere: a number is added or left out",
    "place": "it is wrong {where} only{how}: look for an index, a slice or a fixed number there",
    "zero-slice": "it is 0 wherever index {axis} is {at}",
    "zero-slice last": "it is 0 wherever index {axis} is {at}, the last: a slice ends one too early",
    "zeros": "where it is wrong it is 0: not everything is written",
    "zeros some": "of {wrong} wrong entries {zeros} are 0: not everything is written, as by a loop that ends early",
    "flipped": "the right numbers, back to front along axes {axes}",
    "shifted": "the right numbers, moved by one place along axes {axes}",
    "some": "{wrong} of {entries} entries are wrong, the others right: {first} ...",
    "unknown": "{share:.0%} of the entries are wrong, and no single mistake in the equations gives these numbers",
    "unknown without": (
        "{share:.0%} of the entries are wrong, and their numbers show no known mistake; equations beside the kernel "
        "would tell more"
    ),
    "unknown between": "each layer alone is right: what is wrong lies between them, in what one hands to the next",
    # ------------------------------------------------------------------------------------------ of laws of the algebra
    "law changes": "{layer} changes its {arrays}",
    "law again": "{layer}: {array} is another when computed a second time",
    "law loss changes": "loss changes its outputs, its targets or the weights of its rows",
    "law moves": "the pass backward moves {weights}: all that comes after sees updated weights",
    "law network again": "the gradient of the whole network is another when computed a second time",
    "law grows": ": it grows by the same every time, and is never set back to 0",
    "law linear": "{layer}: {array} is not linear in the error that arrives (dy)",
    "law rounded": ", by {gap:.0e} of it: on the way numbers may be float32",
    "law batch": "the gradient of the batch is not the mean of its rows'",
    "law batch loss": ": a loss is the mean of what its rows cost, and this one is not",
    "law batch ratio": ": it is {ratio:.6g} times that (N = {rows})",
    "law permutation": "the gradient changes when the rows change places",
    "law not finite": "{weights}: in float32 its gradient is not finite",
    "law float32": "{weights}: float32 is off by {gap:.1e} of its largest entry",
    "law derived": (
        "{tensor} as stated is another function than the derivative of the forward equations: for numbers of the size "
        "of {size:g} the stated equation gives {entry} = {stated:.6g}, and the derivative is {derived:.6g}"
    ),
    "law derived slope": (
        "{tensor} as stated is another function than the derivative of the forward equations: for numbers of the size "
        "of {size:g} the slope of {entry} along a direction is {stated:.6g} as stated, and {derived:.6g} as derived"
    ),
    # ------------------------------------------------------------------------ of a layer at the size of a whole batch
    "at shape": "; where it is not meant for rows of shape {shape}, let its plan raise ShapeError",
    "at setting": " (with {setting})",
    "rows alone": (
        "{rows} of {name}{where} {are} not what these rows give alone{how}: what a row gives must depend on that row "
        "only; look in {method} for an index, a slice or a fixed number of rows"
    ),
    "rows loss": (
        "the loss of {rows} rows is not the mean of their losses: kernel / mean = {ratio}; every row counts once, or "
        "as its weight says; look in forward for an index, a slice or a fixed number of rows"
    ),
    "rows loss dx": (
        "{rows} of dx{where} {are} not what these rows give alone, divided by their number{how}: look in backward for "
        "an index, a slice or a fixed number of rows"
    ),
    "rows sum": (
        "{name} of {rows} rows{where} is not the sum of what these rows give alone{how}: every row of the batch counts "
        "once; look in backward for an index, a slice or a fixed number of rows"
    ),
    "rows declared": (
        "the layer declares rows_are_independent, and {rows} of {name}{where} {are} others beside other rows{how}: "
        "compute each row from that row alone, or take the declaration out"
    ),
    "rows place": (
        "{rows} of {name}{where} {are} not what these rows give alone{how}, and not for the numbers in the rows beside "
        "them: they depend on their place, or on how many rows there are; look in {method} for an index, a slice or a "
        "fixed number of rows"
    ),
    "float32": (
        "in float32 {which}{where} {are} not what float64 gives for the same numbers, far beyond rounding{how}: look "
        "for what depends on the type (a buffer or a constant of another type, a test of dtype, a number too large)"
    ),
    "overflow": (
        "in float32 {which}{where} {are} no numbers where inputs are large, and float64 gives numbers that float32 "
        "has, too: an exponential or a square overflows on the way"
    ),
    "scaled": (
        "{which}{where} {are} not so many times as large where dy is{how}: backward must be linear in dy; look for a "
        "bound, a threshold or a rounding of dy"
    ),
    "changes": (
        "{which}{where} {are} others after the layer ran{how}: a kernel may only read {name}; compute in an array that "
        "plan asks for"
    ),
    "order without dx": (
        "{which}{where} {are} others where dx is not asked for, as in the first layer of a network{how}: with f.dx "
        "None, all other gradients are written as ever"
    ),
    "order later": (
        "{which}{where} {are} others at the end of this check than at its beginning{how}: the layer counts its calls, "
        "or remembers them (in a global, a class variable)"
    ),
    "threads": (
        "{which}{where} {are} others where two threads run the kernels, each on some of the rows{how}: the kernels "
        "keep something where both see it (a global, a class variable); ask for it in plan"
    ),
    "order alone": (
        "{which}{where} {are} others when computed a second time{how}: the layer remembers an earlier call (a global, "
        "a class variable, a counter), or its kernels draw by chance, which belongs in draw"
    ),
    "order forward twice": (
        "{which}{where} {are} others where forward ran twice before backward{how}: forward adds to what it kept, or "
        "counts its calls"
    ),
    "order another batch": (
        "{which}{where} {are} others after a batch of other numbers{how}: something of that batch is remembered (in a "
        "global, a class variable, an array that is not written anew)"
    ),
    "order another size": (
        "{which}{where} {are} others after a batch of another size{how}: something of that batch is remembered (a "
        "mask, a buffer, the number of rows)"
    ),
    "order another mode": (
        "{which}{where} {are} others after a forward pass in the other mode{how}: training and evaluation share "
        "something that is remembered"
    ),
    "order backward twice": (
        "{which}{where} {are} others where backward ran for another error before{how}: backward changes what forward "
        "kept, or adds to its gradients"
    ),
    "order another layer": (
        "{which}{where} {are} others where a second layer of this class stands behind{how}: what forward keeps for "
        "backward is shared by all layers of the class (a global, a class variable); ask for it in plan, as keep"
    ),
    # --------------------------------------------------------------------------------- of gradients computed elsewhere
    "loss": "theirs is {theirs:.6g}, ours with its penalties {ours:.6g}",
    "loss slope": "the error of the loss, dL/dy, is another: {text}",
    "penalty": "the penalty's own slope is left out",
    "penalty and": "{text}; and the penalty's own slope is left out",
    "differences": "{text}; central differences give {number:.6g} at {index}",
}  # fmt: skip


def sentence(key: str, /, *pieces: str, **details: object) -> tuple[str, str]:
    """Returns the code and the sentence of a mistake, filled in."""
    return key.partition(" ")[0].format(**details), SENTENCES[key].format(*pieces, **details)
