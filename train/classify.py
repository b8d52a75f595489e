"""``srm-keras train`` in a clone: ``python -m train.classify``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("train")
