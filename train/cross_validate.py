"""``srm-keras cross_validate`` in a clone: ``python -m train.cross_validate``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("cross_validate")
