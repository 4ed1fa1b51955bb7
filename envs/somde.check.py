"""Check that a map trains: if its extension does not compile, somoclu installs without it and without an error."""

import numpy as np
from somoclu import Somoclu
from somoclu.somoclu_wrap import train  # noqa: F401 (Somoclu only warns if it is missing)

side = np.linspace(0, 1, 4, dtype=np.float32)
corners = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
xy = np.random.default_rng(0).random((400, 2), dtype=np.float32)
trained = Somoclu(4, 4, initialcodebook=corners.copy())
trained.train(xy, epochs=5)
nodes = len(np.unique(trained.bmus, axis=0))
assert nodes == 16, f"a map of 16 nodes over 400 uniform points uses only {nodes}"
