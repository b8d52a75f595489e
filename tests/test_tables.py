from srm_keras import tables


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
