"""The paper's experiments and ours, one file each: ``get_config(form)`` returns a recipe."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def list_recipes() -> list[str]:
    """The names of the recipes, as ``--config`` takes them."""
    return sorted(path.stem for path in _FOLDER.glob("[!_]*.py"))


def recipe_file(name: str) -> Path:
    """The file of the recipe called ``name``, one of ``list_recipes()``."""
    return _FOLDER / f"{name}.py"
