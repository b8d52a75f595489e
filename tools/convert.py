"""``srm-keras convert`` in a clone: ``python -m tools.convert``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("convert")
