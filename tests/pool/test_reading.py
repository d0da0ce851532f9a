"""Files of every format give the same rows; broken rows are told with their line."""

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import PoolError
from composer.pool.sources import reading
from composer.pool.sources.columns import Column
from composer.pool.sources.reading import read

TWO = {"prompt": Column("q"), "answer": Column("a")}
ROWS = [{"q": "하나\n둘", "a": "1"}, {"q": 'say "x"', "a": None}, {"q": "세, 넷", "a": "tab"}]


def rows(path, columns=TWO, **given):
    raws = list(read(path, columns, **given))
    return (
        [row for raw in raws for row in raw.table.to_pylist()],
        [line for raw in raws for line in raw.lines.tolist()],
        [one for raw in raws for one in raw.broken],
    )


def packed(path, content):
    if path.suffix == ".zst":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(content)
    else:
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def json_lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json", "a.json.gz", "b.json", "a.parquet"])
def test_the_same_rows_whatever_the_format(name, tmp_path):
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / name)
    else:
        array = json.dumps(ROWS, ensure_ascii=False, indent=1).encode()
        packed(tmp_path / name, array if name.startswith("a.json") and "jsonl" not in name else json_lines(ROWS))
    found, lines, broken = rows(tmp_path / name)
    assert found == [{"prompt": row["q"], "answer": row["a"]} for row in ROWS]
    assert lines == [1, 2, 3] and not broken


def test_csv_and_tsv(tmp_path):
    text = io.StringIO()
    csv.writer(text).writerows([["q", "a"], ["하나\n둘", "1"], ['say "x"', ""], ["세, 넷", "tab"]])
    packed(tmp_path / "a.csv.gz", b"\xef\xbb\xbf" + text.getvalue().encode())
    found, lines, _ = rows(tmp_path / "a.csv.gz")
    assert [row["prompt"] for row in found] == ["하나\n둘", 'say "x"', "세, 넷"] and lines == [2, 4, 5]
    (tmp_path / "a.tsv").write_text('q\ta\n"하나\t1\nb\tc\td\n둘\t2\n', encoding="utf-8")
    found, lines, broken = rows(tmp_path / "a.tsv")
    assert [row["prompt"] for row in found] == ['"하나', "둘"] and lines == [2, 4]
    assert [(one.line, one.reason) for one in broken] == [(3, "has 3 cells; there are 2 columns")]
    (tmp_path / "b.csv").write_text("하나,1\n", encoding="utf-8")
    assert rows(tmp_path / "b.csv", header=["q", "a"])[0] == [{"prompt": "하나", "answer": "1"}]


def test_paths_lead_into_objects_and_lists(tmp_path):
    columns = {
        "prompt": Column("question.stem"), "choices": Column("question.choices[].text", "texts"),
        "answer": Column("key"), "turns": Column("said", "turns", ("from", "value")),
    }  # fmt: skip
    record = {
        "question": {"stem": "?", "choices": [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}], "more": 1},
        "key": 2, "said": [{"from": "human", "value": "h", "w": 0}],
    }  # fmt: skip
    expected = {"prompt": "?", "choices": ["x", "y"], "answer": "2", "turns": [{"from": "human", "value": "h"}]}
    (tmp_path / "a.jsonl").write_bytes(json_lines([record]))
    pq.write_table(pa.Table.from_pylist([record]), tmp_path / "a.parquet")
    assert rows(tmp_path / "a.jsonl", columns)[0] == rows(tmp_path / "a.parquet", columns)[0] == [expected]
    for path in ("", "a[]", "a..b", "a[].b[].c"):
        with pytest.raises(ValueError, match="is not a path"):
            Column(path)


BAD = [
    b'{"q": "x"',
    b"[1, 2]",
    b'{"q": "\xff\xfe"}',
    b'{"q": ["x"]}',
    b"nonsense",
    b'{"q": {"x": 1}}',
    b'{"q": "a\x00b"}',
]
LINES = st.lists(st.one_of(st.sampled_from(BAD), st.builds(lambda q: json_lines([{"q": q, "a": 1}])[:-1], st.text())))


@given(LINES, st.sampled_from([b"\n", b"\n\n"]), st.sampled_from([64, 1 << 22]))
def test_every_line_is_a_row_or_broken_wherever_blocks_end(tmp_path_factory, lines, between, block):
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    path.write_bytes(between.join(lines))
    kept = reading.BLOCK
    reading.BLOCK = block
    try:
        found, places, broken = rows(path)
    finally:
        reading.BLOCK = kept
    numbers = range(1, len(between) * len(lines) + 1, len(between))
    assert sorted([*places, *(one.line for one in broken)]) == list(numbers)
    good = [(number, line) for number, line in zip(numbers, lines, strict=True) if line not in BAD]
    assert [(n, row["prompt"], row["answer"]) for n, row in zip(places, found, strict=True)] == [
        (n, json.loads(line)["q"], "1") for n, line in good
    ]


def test_why_a_row_is_broken(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(BAD))
    told = [one.reason.split(" (")[0] for one in rows(tmp_path / "a.jsonl")[2]]
    assert told == [
        "is not JSON", "is list; a row must be an object", "is not UTF-8", 'q holds ["x"], where text must be',
        "is not JSON", 'q holds {"x": 1}, where text must be', "is not JSON",
    ]  # fmt: skip


def test_a_row_of_many_megabytes_is_broken_and_the_next_is_read(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(json_lines([{"q": "x" * (50 << 20)}, {"q": "y"}]))
    found, lines, broken = rows(tmp_path / "a.jsonl")
    assert [row["prompt"] for row in found] == ["y"] and lines == [2]
    assert broken[0].line == 1 and "at most 16,777,216 are read" in broken[0].reason and len(broken[0].text) == 2000


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl.gz", "a.json"])
def test_a_file_that_ends_too_early_is_named(name, tmp_path):
    path, many = tmp_path / name, ROWS * 2000
    if name == "a.parquet":
        pq.write_table(pa.Table.from_pylist(many), path)
    else:
        packed(path, json.dumps(many).encode() if name == "a.json" else json_lines(many))
    cut(path)
    with pytest.raises(PoolError, match=f"{name} cannot be read"):
        rows(path)


def test_what_is_no_file_of_rows_is_named(tmp_path):
    for name, said in (("a.txt", "its name must end in one of"), ("a.jsonl", "cannot be read: .*No such file")):
        with pytest.raises(PoolError, match=said):
            rows(tmp_path / name)
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    pq.write_table(pa.table({"q": [[1]], "a": ["x"]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"q": ["x"]}), tmp_path / "c.parquet")
    (tmp_path / "d.json").write_text('[{"q": 1} {"q": 2}]')
    for name, said in (
        ("a.csv", "has no column q, a: it has x, y"), ("b.parquet", "q is list<.*>; it must be text"),
        ("c.parquet", "has no column a: it has q"), ("d.json", "behind element 1: a comma or ]"),
    ):  # fmt: skip
        with pytest.raises(PoolError, match=said):
            rows(tmp_path / name)
