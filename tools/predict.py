"""``srm-keras predict`` in a clone: ``python -m tools.predict``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("predict")
