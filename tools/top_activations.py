"""``srm-keras top_activations`` in a clone: ``python -m tools.top_activations``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("top_activations")
