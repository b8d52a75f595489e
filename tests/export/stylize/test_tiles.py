"""Pieces, against what they are for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srm_keras.export.stylize.reach import Reach
from srm_keras.export.stylize.tiles import check_tile, smallest_tile, spans


@given(
    length=st.integers(1, 400),
    margin=st.integers(0, 10),
    step=st.sampled_from([1, 2, 4, 6]),
    more=st.integers(0, 50),
)
def test_pieces_cover_the_side_once_and_see_their_neighbours(length, margin, step, more):
    reach = Reach(margin * step, step)
    tile = smallest_tile(reach) + more
    painted = np.zeros(length, int)
    for span in spans(length, tile, reach):
        assert 0 <= span.start <= span.first < span.last <= span.stop <= length
        assert span.stop - span.start <= tile
        assert span.start % step == 0
        assert span.stop == length or span.stop % step == 0
        assert span.start == 0 or span.first - span.start >= reach.margin
        assert span.stop == length or span.stop - span.last >= reach.margin
        painted[span.kept] += 1
        assert np.array_equal(
            np.arange(length)[span.read][span.valid], np.arange(length)[span.kept]
        )
    assert (painted == 1).all()


def test_a_tile_must_be_larger_than_what_is_thrown_away():
    assert check_tile(124, Reach(60, 4)) == 124
    with pytest.raises(ValueError, match=r"0 or at least 124.*60 pixels.*tile=123"):
        check_tile(123, Reach(60, 4))
    with pytest.raises(ValueError, match="positive integer"):
        check_tile(-1, Reach(60, 4))
