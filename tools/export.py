"""`srm-keras export` in a clone: `srm-keras export`."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("export")
