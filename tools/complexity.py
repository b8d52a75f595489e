"""``srm-keras complexity`` in a clone: ``python -m tools.complexity``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("complexity")
