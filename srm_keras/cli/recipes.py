r"""Lists the recipes, or shows one.

    srm-keras recipes
    srm-keras recipes cifar10

A recipe is a Python file with ``get_config(form)``. What is shown can be saved as a file of one's
own and changed: ``--config=mine.py``.
"""

import ast
from collections.abc import Sequence

from absl.flags import FlagValues

from srm_keras.recipes import list_recipes, recipe_file
from srm_keras.support.tables import text_table
from srm_keras.support.validation import one_of


def define(flags: FlagValues) -> None:
    """There are no flags."""


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Print the names of the recipes with a line each, or the files of those that are named."""
    for name in arguments:
        print(recipe_file(one_of("recipe", name, list_recipes())).read_text())
    if not arguments:
        print(text_table(("recipe", ""), [(name, _summary(name)) for name in list_recipes()]))


def _summary(name: str) -> str:
    text = ast.get_docstring(ast.parse(recipe_file(name).read_text())) or ""
    return text.partition("\n")[0]
