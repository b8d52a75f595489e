"""What is known about a data set."""

from dataclasses import dataclass

from srm_keras.validation import class_names


@dataclass(frozen=True)
class DatasetInfo:
    """What `load` knows about the data set that it returns.

    Attributes:
        name: The source's name, as given to `load`.
        split: The split's name, as given to `load`.
        num_examples: Number of examples in the split.
        num_classes: Number of classes; labels are 0 … num_classes - 1.
        class_names: The name of each label.
        image_shape: (height, width, channels); height and width are None where images differ.

    Raises:
        ValueError: If there are not as many names as classes, one is no text, or two are equal.
    """

    name: str
    split: str
    num_examples: int
    num_classes: int
    class_names: tuple[str, ...]
    image_shape: tuple[int | None, int | None, int]

    def __post_init__(self) -> None:
        if len(class_names("class_names", self.class_names)) != self.num_classes:
            raise ValueError(
                f"`class_names` must be one for each of {self.num_classes} classes. "
                f"Received: {len(self.class_names)}"
            )
