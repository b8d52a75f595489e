"""Class folders of image files as a data set.

Either the folder has split folders, ``<data_dir>/train/<class>/…`` and
``<data_dir>/test/<class>/…``, or class folders, ``<data_dir>/<class>/…``, of whose files a seeded
fraction is the test split. Images without labels may lie in it anywhere.
"""

from srm_keras.data.sources.image_folder.source import load_examples, load_unlabelled

__all__ = ["load_examples", "load_unlabelled"]
