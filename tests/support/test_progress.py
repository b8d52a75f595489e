from srm_keras.support import progress
from srm_keras.support.progress import with_progress


def test_items_pass_through_and_slow_ones_are_told(monkeypatch, capsys):
    clock = iter([0, 1, 6, 6, 7, 12, 12])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(with_progress("abcd", 4, "Read", "files")) == list("abcd")
    assert capsys.readouterr().err.splitlines() == ["Read 2 of 4 files", "Read 4 of 4 files"]
