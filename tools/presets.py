"""``srm-keras preset`` in a clone: ``python -m tools.presets``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("preset")
