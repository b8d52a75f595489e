"""Stylization networks applied: to pictures of any size, and to folders of them."""

from srm_keras.export.stylize.painting import Outcome, Work, plan_work
from srm_keras.export.stylize.stylizer import Stylizer, load_stylizer, read_picture

__all__ = [
    "Outcome",
    "Stylizer",
    "Work",
    "load_stylizer",
    "plan_work",
    "read_picture",
]
