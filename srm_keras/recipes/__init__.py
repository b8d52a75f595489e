"""The paper's experiments and ours, one file each: ``get_config(form)`` returns a recipe."""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

_FOLDER = Path(__file__).parent


def list_recipes() -> list[str]:
    """The names of the recipes, as ``--config`` takes them."""
    return sorted(path.stem for path in _FOLDER.glob("[!_]*.py"))


def recipe_file(name: str) -> Path:
    """The file of the recipe called ``name``, one of ``list_recipes()``."""
    return _FOLDER / f"{name}.py"


def on_made_up_images(recipe: ConfigDict, **options: Any) -> None:
    """Make a recipe its smoke form: two updates on images of the source ``made_up``.

    Args:
        recipe: What is changed.
        **options: Of the source.
    """
    recipe.data.name = "made_up"
    recipe.data.options = ConfigDict(options)
    recipe.update(steps=2, eval_every=2, batch_size=8)
    recipe.learning_rate.milestones = ()
