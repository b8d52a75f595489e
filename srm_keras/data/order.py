"""The order of training examples, as a function of (seed, position in the stream) alone."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Order:
    """Which examples a training stream consists of, from which one on, and which part of it.

    The stream is example 0, 1, 2, … without end; batch k is the examples from `k * batch_size` on.
    An epoch is `examples // batch_size` batches of a new random permutation.

    Attributes:
        examples: Number of examples in the data set.
        batch_size: Number of examples in a (global) batch.
        seed: Integer in [0, 2**63).
        start_step: The batch to begin with.
        shard: (i, n): part i of the n equal parts of each batch.
    """

    examples: int
    batch_size: int
    seed: int
    start_step: int = 0
    shard: tuple[int, int] = (0, 1)

    @property
    def used(self) -> int:
        """Number of examples in an epoch, a multiple of the batch size."""
        return self.examples - self.examples % self.batch_size

    @property
    def local_batch_size(self) -> int:
        """Number of examples in this part of a batch."""
        return self.batch_size // self.shard[1]

    def positions(self) -> tf.data.Dataset:
        """Endless (place in the stream, position in the data set), two int64 scalars.

        Nothing before `start_step` is gone through: whole epochs are jumped over.
        """
        first_epoch, first = divmod(self.start_step * self.batch_size, self.used)

        def epoch_part(epoch: tf.Tensor) -> tf.data.Dataset:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(self.examples, dtype=tf.int64), (self.seed, -1 - epoch), alg="philox"
            )
            start = tf.where(epoch == first_epoch, tf.constant(first, tf.int64), 0)
            places = epoch * self.used + tf.range(start, self.used, dtype=tf.int64)
            pairs = (self._own(places), self._own(order[start : self.used]))
            return tf.data.Dataset.from_tensor_slices(pairs)

        return tf.data.Dataset.counter(first_epoch).flat_map(epoch_part)

    def shuffled(self, dataset: tf.data.Dataset, buffer: int) -> tf.data.Dataset:
        """Endless (place in the stream, element) of a data set that is read from its beginning.

        All that comes before `start_step` is read and left out.
        """
        epochs = dataset.shuffle(buffer, self.seed, reshuffle_each_iteration=True)
        first = self.start_step * self.batch_size
        stream = epochs.take(self.used).repeat().enumerate().skip(first)
        return stream if self.shard[1] == 1 else stream.filter(self._is_own)

    def _own(self, values: tf.Tensor) -> tf.Tensor:
        """This part's values out of those of whole batches."""
        index, _ = self.shard
        parts = tf.reshape(values, (-1, self.shard[1], self.local_batch_size))
        return tf.reshape(parts[:, index], (-1,))

    def _is_own(self, place: tf.Tensor, element: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        del element
        return place % self.batch_size // self.local_batch_size == self.shard[0]
