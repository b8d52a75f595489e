"""`srm-keras serve` in a clone: `srm-keras serve`."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("serve")
