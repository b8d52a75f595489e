"""`srm-keras complexity` in a clone: `srm-keras complexity`."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("complexity")
