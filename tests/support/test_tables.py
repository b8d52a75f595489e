from srm_keras.support import tables


def test_text_table_aligns():
    assert tables.text_table(["name", "n"], [["a", "1,000"], ["longer", "2"]]).splitlines() == [
        "name        n",
        "------  -----",
        "a       1,000",
        "longer      2",
    ]


def test_markdown_table():
    assert tables.markdown_table(["name", "n"], [["a", "1"]]).splitlines() == [
        "| name | n |",
        "| --- | ---: |",
        "| a | 1 |",
    ]


def test_one_run_has_no_deviation():
    assert tables.with_std(0.5, 0.25) == "0.5000 ± 0.2500"
    assert tables.with_std(1234.5, None, ".4g", ".2g") == "1234"
