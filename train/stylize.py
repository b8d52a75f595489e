"""``srm-keras train_stylizer`` in a clone: ``python -m train.stylize``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("train_stylizer")
