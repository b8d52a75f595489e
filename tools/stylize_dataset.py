"""``srm-keras stylize_dataset`` in a clone: ``python -m tools.stylize_dataset``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("stylize_dataset")
