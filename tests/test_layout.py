"""The layout is the design: rooms in order, files of a readable size."""

import ast
from pathlib import Path

import composer

ROOT = Path(composer.__file__).parent
ROOMS = ["mini", "answers", "pool", "mixture", "trial", "surrogate", "study", "findings", "report"]


def imported(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (name.split(".")[1] for name in names if name.startswith("composer."))


def test_a_room_imports_only_from_rooms_before_its_own():
    for place, room in enumerate(ROOMS):
        for file in (ROOT / room).rglob("*.py"):
            later = set(imported(file)) & {*ROOMS[place + 1 :], "cli", "verbs"}
            assert not later, f"{file.relative_to(ROOT)} imports from {later}"


def test_no_file_is_longer_than_a_reader_can_hold():
    for file in ROOT.rglob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, file
