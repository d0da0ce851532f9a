"""Types of a config: what is wrong is told by its whole key, with the value and what it must be."""

import pytest

from composer.config import Config
from composer.config_types import type_problems
from composer.errors import ConfigError
from composer.recipe import load_recipe

SOURCE = "pool.sources.files"


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (f"{SOURCE}.duplicates=near", f"{SOURCE}.duplicates is near: it must be a list of text, such as [near]"),
        (f"{SOURCE}.filters=[a]", f'{SOURCE}.filters is ["a"]: it must be a mapping'),
        (f"{SOURCE}.where={{x: 1}}", f"{SOURCE}.where.x is 1: it must be a list of text, such as [1]"),
        (f"{SOURCE}.where={{x: [true]}}", f"{SOURCE}.where.x[0] is true: it must be text; put it in quotes"),
        (f"{SOURCE}.names={{x: {{0: a}}}}", f"{SOURCE}.names.x has the name 0: a name must be text; put it in quotes"),
        (f"{SOURCE}.columns={{q: {{a: 1}}}}", f'{SOURCE}.columns.q is {{"a": 1}}: it must be text'),
        (f"{SOURCE}.priority=high", f"{SOURCE}.priority is high: it must be a whole number"),
        (f"{SOURCE}.hub=some/set", f"{SOURCE}.hub is some/set: it must be a mapping of id, config, split, revision"),
        (f"{SOURCE}.hub={{split: test}}", f"{SOURCE}.hub.id is not set: it must be text"),
        (f"{SOURCE}.filtrs={{}}", f"{SOURCE}.filtrs is not a key: it must be one of files, hub, header"),
        ("pool.sources.files=null", f"{SOURCE} is null: it must be a mapping of files, hub, header"),
        ("pool.sources=[a]", 'pool.sources is ["a"]: it must be a mapping of names, each to a mapping of files, hub'),
        ("pool.kind=''", "pool.kind is not set: it must be one of mini, folder, sources"),
        ("mixture.size=[1]", "mixture.size is [1]: it must be a whole number, or null"),
        ("mixture.size=1,2", "mixture.size=1,2 gives several values"),
    ],
)
def test_a_value_of_a_wrong_type_is_told_by_its_key(override, told):
    with pytest.raises(ConfigError) as error:
        load_recipe(None, ["pool=files", "pool.path=rows.jsonl", override])
    assert str(error.value).startswith(told), str(error.value)


def test_a_config_file_is_told_as_an_override_is_and_all_at_once(tmp_path, monkeypatch):
    (tmp_path / "conf" / "pool").mkdir(parents=True)
    text = "path: rows.jsonl\nsources:\n  rows: {files: [x], duplicates: near, where: [a], filtrs: {}}\n"
    (tmp_path / "conf" / "pool" / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        load_recipe(None, ["pool=mine"])
    told = [problem.split(": ")[0] for problem in error.value.problems]
    assert told == [
        "pool.sources.rows.duplicates is near", 'pool.sources.rows.where is ["a"]',
        "pool.sources.rows.filtrs is not a key", "pool.name is not set",
    ]  # fmt: skip


def test_what_is_resolved_later_is_let_through():
    assert not list(type_problems(Config, load_recipe("quickstart", []).plain))
    assert load_recipe("quickstart", ["mixture.size=${study.seeds}00"]).config.mixture.size == 400
