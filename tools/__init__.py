"""Commands as modules of a clone, a few lines each, and studies."""

import srm_keras  # noqa: F401 - as of `srm-keras`, without Keras until a command needs it
