"""Floor 2: the parts, where features go. Importing this package declares, and so registers, every part below it."""

import importlib
import pkgutil

for _module in pkgutil.walk_packages(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
