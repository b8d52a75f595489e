"""``srm-keras compare`` in a clone: ``python -m tools.compare``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("compare")
