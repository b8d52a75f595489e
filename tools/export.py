"""``srm-keras export`` in a clone: ``python -m tools.export``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("export")
