"""Broken rows are thrown out and counted; a broken file stops the build by name; nothing half-written looks done."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from composer.config_pool import SourceConfig
from composer.errors import PoolError

from .piles import accounted, built, daily, daily_source, pool_config, turns, write_lines


def source(**more):
    given = {"files": ["rows.*"], "shape": "messages", "category": "daily", "duplicates": ["row"]}
    return {"rows": SourceConfig(**{**given, **more})}


def lines_of(*rows):
    return b"".join(
        (row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode()) + b"\n" for row in rows
    )


GOOD = {"messages": turns("안녕하세요?", "네, 안녕하세요.")}
BROKEN = {
    "half a row": b'{"messages": [{"role": "user"',
    "not an object": b"[1, 2]",
    "words": b"hello",
    "nothing but a number": b"17",
    "Latin-1": '{"messages": "caf\xe9"}'.encode("latin-1"),
    "UTF-16": '{"messages": 1}'.encode("utf-16"),
    "a null byte": b'{"messages": \x00}',
    "another type": {"messages": "text"},
    "turns that are text": {"messages": ["a", "b"]},
    "nested beyond it": {"messages": [{"role": "user", "content": {"deep": [1]}}]},
    "nested without end": b'{"messages": ' + b"[" * 100_000 + b"}",
}
FAULTY = {
    "no turns": {"messages": []},
    "null": {"messages": None},
    "nobody answers": {"messages": [{"role": "user", "content": "?"}]},
    "an unknown role": {"messages": [{"role": "cook", "content": "?"}, {"role": "assistant", "content": "!"}]},
    "no content": {"messages": [{"role": "assistant"}]},
    "no such column": {"text": "x"},
}


@pytest.mark.parametrize("name", [*BROKEN, *FAULTY])
def test_a_broken_row_is_thrown_out_and_its_neighbours_are_kept(tmp_path, name):
    row = BROKEN[name] if name in BROKEN else FAULTY[name]
    other = {"messages": turns("다음은?", "다음입니다.")}
    (tmp_path / "rows.jsonl").write_bytes(lines_of(GOOD, row, other))
    pool = built(pool_config(tmp_path, source()), tmp_path / "out")
    thrown = pq.read_table(next((pool.path / "rejects").glob("0*.parquet"))).to_pylist()
    # Text in UTF-16 has a line break of its own.
    assert pool.facts["rows"] == 2 and len(thrown) == 1, thrown
    assert thrown[0]["line"] == 2 and thrown[0]["file"] == "rows.jsonl"
    assert thrown[0]["reason"] == ("broken row" if name in BROKEN else "no messages")
    assert accounted(pool)


def test_a_row_of_fifty_megabytes_is_thrown_out(tmp_path):
    huge = {"messages": turns("가" * (50 << 20 >> 2), "네")}
    (tmp_path / "rows.jsonl").write_bytes(lines_of(GOOD, huge, {"messages": turns("다음은?", "다음입니다.")}))
    pool = built(pool_config(tmp_path, source()), tmp_path / "out")
    assert pool.facts["sources"]["rows"]["rejects"] == {"broken row": 1} and pool.facts["rows"] == 2
    assert sum(file.stat().st_size for file in pool.path.rglob("*") if file.is_file()) < 1 << 20


def test_rows_with_null_bytes_and_broken_text_are_found(tmp_path):
    rows = [GOOD, {"messages": turns("널", "\x00 바이트")}, {"messages": turns("깨짐", "안\ufffd녕")}]
    (tmp_path / "rows.jsonl").write_bytes(lines_of(*rows))
    pool = built(pool_config(tmp_path, source(filters={"encoding": None})), tmp_path / "out")
    assert pool.facts["sources"]["rows"]["rejects"] == {"encoding: has control characters": 1, "encoding: is broken": 1}


def parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=100)


def truncated(path):
    parquet(path / "rows.parquet", [GOOD] * 1000)
    data = (path / "rows.parquet").read_bytes()
    (path / "rows.parquet").write_bytes(data[: len(data) // 2])


def rotten(path):
    """A footer that is whole, and data that is not."""
    parquet(path / "rows.parquet", [{"messages": turns(f"{n}" * 50, "네")} for n in range(1000)])
    data = bytearray((path / "rows.parquet").read_bytes())
    data[100:2000] = os.urandom(1900)
    (path / "rows.parquet").write_bytes(bytes(data))


FILES = {
    "a truncated Parquet": (truncated, ["rows.parquet cannot be read"]),
    "a rotten Parquet": (rotten, ["rows.parquet"]),
    "text named Parquet": (lambda p: (p / "rows.parquet").write_text("hello"), ["rows.parquet cannot be read"]),
    "a column of another type": (
        lambda p: parquet(p / "rows.parquet", [{"messages": {"a": 1}}]), ["rows.parquet", "messages", "struct"]
    ),
    "no such column": (lambda p: parquet(p / "rows.parquet", [{"text": "x"}]), ["no column messages", "it has text"]),
    "a JSON array that does not end": (
        lambda p: (p / "rows.json").write_text(json.dumps([GOOD, GOOD])[:-5]),
        ["rows.json cannot be read behind element 1"],
    ),
    "a truncated gzip": (
        lambda p: (p / "rows.jsonl.gz").write_bytes(__import__("gzip").compress(lines_of(*[GOOD] * 999))[:60]),
        ["rows.jsonl.gz cannot be read"],
    ),
    "an unknown format": (lambda p: (p / "rows.docx").write_text("x"), ["rows.docx", ".parquet, .jsonl"]),
}  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_stops_the_build_with_its_name(tmp_path, name, workers):
    make, told = FILES[name]
    make(tmp_path)
    for number in range(workers):  # other shards, so that there is something for a second worker
        write_lines(tmp_path / f"daily-{number}.jsonl", [daily(number)])
    with pytest.raises(PoolError) as error:
        built(pool_config(tmp_path, {**source(), "daily": daily_source()}), tmp_path / "out", workers)
    assert all(part in str(error.value) for part in told), str(error.value)
    assert str(error.value).startswith("pool.sources.rows: ") and "\n" not in str(error.value)
    assert not [one for one in tmp_path.iterdir() if "out" in one.name]  # there is nothing to go on with


def test_a_broken_file_is_told_under_ray_as_it_is_without(tmp_path):
    pytest.importorskip("ray")
    (tmp_path / "rows.jsonl.gz").write_bytes(b"\x1f\x8b no gzip")
    given = ["pool=files", f"pool.path={tmp_path}", f"out={tmp_path / 'out'}", "launcher=ray", "--workers", "1"]
    ran = subprocess.run([sys.executable, "-m", "composer.cli", "pool", *given], capture_output=True, text=True)
    told = f"error: pool.sources.files: {tmp_path}/rows.jsonl.gz cannot be read"
    assert ran.returncode == 2 and ran.stderr.splitlines()[-1].startswith(told), ran.stderr


def test_a_file_that_may_not_be_read_is_named():
    with tempfile.TemporaryDirectory() as folder:
        path, user = Path(folder), os.geteuid()
        write_lines(path / "daily.jsonl", [daily(1)])
        path.chmod(0o755)
        (path / "daily.jsonl").chmod(0)
        if user == 0:
            os.seteuid(65534)  # root reads all
        try:
            with pytest.raises(PoolError, match=r"daily\.jsonl cannot be read: .*Permission denied"):
                built(pool_config(path, {"daily": daily_source()}), path / "out")
        finally:
            os.seteuid(user)


FULL = """
import sys
sys.path.insert(0, {root!r})
from tests.pool.piles import built, daily_source, pool_config
from composer.errors import PoolError
if __name__ == "__main__":
    try:
        built(pool_config({pile!r}, {{"daily": daily_source(duplicates=["near"])}}), {out!r}, {workers})
    except PoolError as error:
        print(error)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_told_and_the_build_goes_on_when_there_is_room(tmp_path, workers):
    for number in range(3):
        write_lines(tmp_path / f"daily-{number}.jsonl", map(daily, range(4000 * number, 4000 * number + 4000)))
    disk, script = tmp_path / "disk", tmp_path / "full.py"
    disk.mkdir()
    script.write_text(
        FULL.format(root=str(Path(__file__).parents[2]), pile=str(tmp_path), out=str(disk / "pool"), workers=workers)
    )
    steps = [
        f"mount -t tmpfs -o size=2m tmpfs {disk}", f"{sys.executable} {script}", f"ls -A {disk}", "echo ---",
        f"mount -o remount,size=200m {disk}", f"{sys.executable} {script}", f"ls -A {disk}",
    ]  # fmt: skip
    ran = subprocess.run(["unshare", "-rm", "sh", "-c", " && ".join(steps)], capture_output=True, text=True)
    if "unshare" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip(f"no small disk can be made here: {ran.stderr.strip()}")
    before, after = ran.stdout.split("---\n")
    assert "No space left on device" in before and "goes on" in before, ran.stdout + ran.stderr
    assert before.splitlines()[-1] == ".pool.building" and len(before.splitlines()) == 2
    assert after == "pool\n"
