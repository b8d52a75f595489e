"""``srm-keras compare_stylizers`` in a clone: ``python -m train.compare_stylizers``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("compare_stylizers")
