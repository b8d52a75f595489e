"""Made-up photographs."""

import numpy as np


def photos(*shape, seed=0):
    """Smooth pictures with a little noise, 0 to 255."""
    count, height, width = shape
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (count, height // 4 + 1, width // 4 + 1, 3))
    smooth = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype("float32")
