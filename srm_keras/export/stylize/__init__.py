"""Stylization networks applied: to pictures of any size, and to folders of them."""

from srm_keras.export.stylize.files import Options, Outcome
from srm_keras.export.stylize.pictures import read_picture
from srm_keras.export.stylize.stylizer import Stylizer, load_stylizer
from srm_keras.export.stylize.work import Work, plan_work

__all__ = [
    "Options",
    "Outcome",
    "Stylizer",
    "Work",
    "load_stylizer",
    "plan_work",
    "read_picture",
]
