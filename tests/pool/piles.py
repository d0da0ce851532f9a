"""Small piles of rows on disk, and pools of them."""

import json
from pathlib import Path

from composer.config_pool import PoolConfig, SourceConfig
from composer.pool import Pool
from composer.pool.curate.build import build, plan
from composer.pool.curate.drivers import local

CITIES = ("서울", "부산", "대구", "인천", "광주", "대전", "울산", "수원", "창원", "고양")


def turns(asked, said):
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]


def daily(number):
    city = CITIES[number % 10]
    return {
        "messages": turns(
            f"{city}에서 {number}번 버스는 어디로 가나요?", f"{number}번 버스는 {city} 시청 앞을 지나갑니다."
        ),
        "category": "daily",
        "stratum": f"s{number % 3}",
    }


def reasoning(number):
    return {
        "question": f"{number}에 {number + 1}을 더하면?",
        "thinking": f"{number} + {number + 1} = {2 * number + 1}",
        "response": f"답은 {2 * number + 1}입니다.",
        "right": str(2 * number + 1),
    }


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def daily_source(**more):
    given = {"files": ["daily*.jsonl"], "shape": "messages", "category": "{category}", "stratum": "{stratum|all}"}
    return SourceConfig(**{**given, "duplicates": ["prompt", "row"], **more})


def reasoning_source(**more):
    given = {
        "files": ["reasoning*.jsonl"], "shape": "reasoning", "category": "reasoning", "stratum": "sums/{mode}",
        "columns": {"prompt": "question", "thinking": "thinking", "response": "response", "gold": "right"},
        "filters": {"one_thinking": None, "korean_response": None, "gold_answer": None},
    }  # fmt: skip
    return SourceConfig(**{**given, "duplicates": ["prompt", "row"], **more})


def pool_config(path, sources, **more):
    return PoolConfig(name="test", kind="sources", path=str(path), sources=sources, **more)


def quiet(told, done, total):
    pass


def built(config, out, workers=1):
    build(plan(config), Path(out), local(workers), quiet)
    return Pool.open(Path(out))


def bytes_of(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in Path(folder).rglob("*") if file.is_file()}


def accounted(pool):
    """Whether each source's rows are kept or thrown out, and as many rejects lie in the pool."""
    import pyarrow.parquet as pq

    sources = pool.facts["sources"].values()
    rejects = [pq.read_table(file) for file in (pool.path / "rejects").glob("*.parquet")]
    thrown = sum(len(table) for table in rejects)
    return (
        all(of["read"] == of["kept"] + sum(of["rejects"].values()) for of in sources)
        and sum(sum(of["rejects"].values()) for of in sources) == thrown
        and sum(of["kept"] for of in sources) == pool.facts["rows"]
    )
