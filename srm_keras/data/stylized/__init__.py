"""Stylized copies of data sets: every image in the style of a random painting."""

from srm_keras.data.stylized.dataset import StylizedReport, stylize_dataset

__all__ = ["StylizedReport", "stylize_dataset"]
