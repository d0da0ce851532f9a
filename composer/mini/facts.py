"""Facts of the real world in Korean, read from Babel's CLDR tables and split by entity.

Four relations: a country's currency, main language and continent, and a city's country. An entity (a country, or a
city) is either for training or held out, by a hash of its CLDR code, so that no question about a held-out entity can
be a training row.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Literal

from babel import Locale
from babel.core import get_global

Relation = Literal["currency", "language", "continent", "city"]
Split = Literal["train", "heldout"]

RELATIONS: tuple[Relation, ...] = ("currency", "language", "continent", "city")
NOUN: dict[Relation, str] = {"currency": "통화", "language": "언어", "continent": "대륙", "city": "나라"}

# CLDR names a time zone after a continent or an ocean; an island of an ocean is left without a continent.
_CONTINENT_OF_ZONE = {
    "Africa": "002", "America": "019", "Asia": "142", "Europe": "150", "Australia": "009", "Pacific": "009",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: the `relation` of `entity` (its CLDR code, its Korean name) has this `value`."""

    relation: Relation
    code: str
    entity: str
    value: str

    @property
    def split(self) -> Split:
        """The entity's split; half of the entities are held out."""
        return "heldout" if hashlib.sha256(self.code.encode()).digest()[0] % 2 else "train"


@cache
def all_facts() -> tuple[Fact, ...]:
    """All facts, ordered by relation and entity code."""
    names = _country_names()
    relations: tuple[tuple[Relation, dict[str, str]], ...] = (
        ("currency", _currencies(names)),
        ("language", _languages(names)),
        ("continent", _continents(names)),
    )
    facts = [
        Fact(relation, code, names[code], value) for relation, values in relations for code, value in values.items()
    ]
    facts += [Fact("city", zone, city, names[country]) for zone, (city, country) in _cities(names).items()]
    # A name that answers its own question teaches nothing.
    return tuple(fact for fact in facts if fact.entity != fact.value)


def facts_of(relation: Relation, split: Split) -> tuple[Fact, ...]:
    """The facts of one relation and split."""
    return tuple(fact for fact in all_facts() if fact.relation == relation and fact.split == split)


@cache
def values_of(relation: Relation) -> tuple[str, ...]:
    """Every distinct value of a relation, sorted."""
    return tuple(sorted({fact.value for fact in all_facts() if fact.relation == relation}))


@cache
def names() -> tuple[str, ...]:
    """Every name that a fact mentions, sorted."""
    return tuple(sorted({name for fact in all_facts() for name in (fact.entity, fact.value)}))


def _locale() -> Locale:
    return Locale.parse("ko")


def _plain(name: str) -> str:
    """A CLDR name without its bracketed remark."""
    return name.split("(")[0].strip()


def _country_names() -> dict[str, str]:
    currencies, zones = get_global("territory_currencies"), get_global("territory_zones")
    territories = _locale().territories
    names = {
        code: _plain(name)
        for code, name in sorted(territories.items())
        if len(code) == 2 and code.isalpha() and code not in {"ZZ", "AQ"} and code in currencies and code in zones
    }
    return {code: name for code, name in names.items() if len(name) > 1}


def _currencies(names: dict[str, str]) -> dict[str, str]:
    """The currency of each country that has exactly one today."""
    listed, words = get_global("territory_currencies"), _locale().currencies
    found = {}
    for code in names:
        today = [currency for currency, _, until, tender in listed[code] if until is None and tender]
        if len(today) == 1 and today[0] in words:
            found[code] = _plain(words[today[0]])
    return found


def _languages(names: dict[str, str]) -> dict[str, str]:
    """The language that most people of each country speak."""
    listed, words = get_global("territory_languages"), _locale().languages
    found = {}
    for code in names:
        by_share = sorted(listed.get(code, {}).items(), key=lambda item: (-item[1]["population_percent"], item[0]))
        if by_share and by_share[0][0] in words:
            found[code] = _plain(words[by_share[0][0]])
    return found


def _continents(names: dict[str, str]) -> dict[str, str]:
    """The continent of each country whose time zones all name the same one."""
    zones, words = get_global("territory_zones"), _locale().territories
    found = {}
    for code in names:
        continents = {_CONTINENT_OF_ZONE.get(zone.split("/")[0]) for zone in zones[code]}
        if len(continents) == 1 and (continent := continents.pop()) is not None:
            found[code] = words[continent]
    return found


def _cities(names: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Zone → (city, country code) for cities whose name is theirs alone."""
    zones, countries = _locale().time_zones, get_global("zone_territories")
    cities = {
        zone: (data["city"], countries[zone])
        for zone, data in sorted(zones.items())
        if "city" in data and countries.get(zone) in names and "," not in data["city"]
    }
    taken = Counter(city for city, _ in cities.values()) + Counter(names.values())
    return {zone: pair for zone, pair in cities.items() if taken[pair[0]] == 1 and len(pair[0]) > 1}
