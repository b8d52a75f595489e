"""The record of what is done."""

import pytest

from srm_keras.data.stylized.ledger import Ledger, check_parameters
from srm_keras.support.files import read_csv, read_json


def row(image, style="p.png"):
    return {"split": "train", "image": image, "style": style, "output": f"train/x/{image}.jpg"}


def make(out, image):
    path = out / row(image)["output"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_an_image_is_done_once_it_is_recorded_and_there(tmp_path):
    ledger = Ledger(tmp_path, 0, 2)
    assert not ledger.is_done("train", "a")
    make(tmp_path, "a")
    ledger.record([row("a"), row("gone")])
    for shard, shards in ((0, 2), (1, 2), (0, 5)):
        again = Ledger(tmp_path, shard, shards)
        assert again.is_done("train", "a")
        assert not again.is_done("train", "gone")
        assert not again.is_done("val", "a")


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_line_that_a_kill_cut_off_does_not_count(tmp_path, cut):
    for image in ("a", "b"):
        make(tmp_path, image)
    Ledger(tmp_path, 0, 1).record([row("a"), row("b")])
    (file,) = (tmp_path / ".shards").glob("0_of_1.csv")
    file.write_bytes(file.read_bytes()[:-cut])
    assert not Ledger(tmp_path, 3, 4).is_done("train", "b")  # also to others
    ledger = Ledger(tmp_path, 0, 1)
    assert ledger.is_done("train", "a")
    assert not ledger.is_done("train", "b")
    ledger.record([row("b", "other.png")])
    ledger.finish([])
    assert read_csv(tmp_path / "manifest.csv") == [row("a"), row("b", "other.png")]


def test_a_kill_before_the_first_line_is_whole(tmp_path):
    Ledger(tmp_path, 0, 1)
    file = tmp_path / ".shards" / "0_of_1.csv"
    file.write_text("split,im")
    Ledger(tmp_path, 0, 1).record([row("a")])
    assert read_csv(file) == [row("a")]


def test_manifest_has_the_rows_of_all_workers_once(tmp_path):
    workers = [Ledger(tmp_path, shard, 2) for shard in range(2)]
    workers[0].record([row("b"), row('a, "quoted"')])
    workers[1].record([row("c")])
    workers[0].record([row("b")])
    skipped = {"kind": "image", "name": "train/bad", "reason": "no image"}
    workers[0].finish([])
    workers[1].finish([skipped])
    assert read_csv(tmp_path / "manifest.csv") == [row('a, "quoted"'), row("b"), row("c")]
    assert read_csv(tmp_path / "skipped.csv") == [skipped]


def test_what_was_skipped_and_then_made_is_skipped_no_more(tmp_path):
    painting = {"kind": "painting", "name": "p.png", "reason": "no image"}
    image = {"kind": "image", "name": "train/a", "reason": "no image"}
    Ledger(tmp_path, 0, 1).finish([painting, image])
    other = Ledger(tmp_path, 1, 2)
    other.record([row("a")])
    other.finish([])
    assert read_csv(tmp_path / "skipped.csv") == [painting]
    Ledger(tmp_path, 0, 1).finish([])
    assert read_csv(tmp_path / "skipped.csv") == [painting]


def test_another_parameter_is_refused_and_splits_may_be_added(tmp_path):
    check_parameters(tmp_path, {"seed": 0}, {"train": {"sha256": "x"}})
    check_parameters(tmp_path, {"seed": 0}, {"val": {"sha256": "y"}})
    found = {"seed": 0, "splits": {"train": {"sha256": "x"}, "val": {"sha256": "y"}}}
    assert read_json(tmp_path / "stylized.json") == found
    with pytest.raises(ValueError, match=r"same seed\. Received: 1; .*stylized.json says 0"):
        check_parameters(tmp_path, {"seed": 1}, {})
    with pytest.raises(ValueError, match="same source of the split 'val'"):
        check_parameters(tmp_path, {"seed": 0}, {"val": {"sha256": "z"}})
    assert read_json(tmp_path / "stylized.json") == found


@pytest.mark.parametrize("text", ["{", "[]", '{"seed": 0}'])
def test_a_file_of_another_kind_is_refused(tmp_path, text):
    (tmp_path / "stylized.json").write_text(text)
    with pytest.raises(ValueError, match=r"must not hold a stylized\.json of another kind"):
        check_parameters(tmp_path, {"seed": 0}, {})
