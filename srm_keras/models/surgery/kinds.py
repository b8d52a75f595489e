"""What layers do, by the names of their classes.

By name, because those of ``keras.applications`` and the operations behind ``x + y`` have no public
class.
"""

ADDITION = ("Add", "CustomScaleLayer")
MULTIPLICATION = ("Multiply",)
CONCATENATION = ("Concatenate",)
GLOBAL_AVERAGE = ("GlobalAveragePooling2D", "Mean")
GLOBAL_POOLING = (*GLOBAL_AVERAGE, "GlobalMaxPooling2D", "Max")
ENLARGING = ("Conv2DTranspose", "Resize", "Resizing", "UpSampling2D")
PADDING = ("Pad", "ZeroPadding2D")
REGULARIZATION = (
    "ActivityRegularization",
    "AlphaDropout",
    "DropPath",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "LayerScale",
    "SpatialDropout2D",
    "StochasticDepth",
)
"""What stands between the last layer of a residual branch and the addition."""
