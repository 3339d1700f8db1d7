import math

import numpy as np

_E = np.frompyfunc(math.erf, 1, 1)


def erf(x):
    return _E(np.asarray(x, float)).astype(float)
