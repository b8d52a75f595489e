"""``srm-keras gates`` in a clone: ``python -m tools.gates``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("gates")
