"""How the columns of a source become messages: one function a shape, registered by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import ascii_uppercase as LETTERS
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from composer.pool.filters.batch import CLOSE, OPEN
from composer.pool.sources.columns import TURN_FIELDS, Column, Kind
from composer.pool.store import MESSAGES

ROLES = {
    "user": "user", "human": "user", "prompter": "user", "assistant": "assistant", "gpt": "assistant",
    "bot": "assistant", "model": "assistant", "chatgpt": "assistant", "system": "system", "tool": "tool",
    "observation": "tool",
}  # fmt: skip
Answer = Literal["0", "1", "letter", "text"]  # a number, the first choice being 0 or 1; a letter; the choice itself

Problems = NDArray[np.object_]  # (n,) why a row has no messages; None where it has


@dataclass(frozen=True)
class Shape:
    """A way to make messages.

    Attributes:
        needs: Column → what it holds.
        may: As `needs`, of those that may be left out.
        fields: The names of role and content, where turns are read.
        make: The messages (n,) of a table (n,) with these columns, and why some have none.
    """

    needs: Mapping[str, Kind]
    may: Mapping[str, Kind]
    fields: tuple[str, str]
    make: Callable[..., tuple[pa.Array, Problems]]

    def columns(self, paths: Mapping[str, str]) -> dict[str, Column]:
        """The columns to read, by name, from their paths in a source."""
        return {
            name: Column(path, {**self.needs, **self.may}.get(name, "text"), self.fields)
            for name, path in paths.items()
        }


SHAPES: dict[str, Shape] = {}


def shape(
    name: str,
    needs: Mapping[str, Kind],
    may: Mapping[str, Kind] | None = None,
    fields: tuple[str, str] = TURN_FIELDS[0],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function as the shape `name`; its keyword arguments are the shape's parameters."""

    def register(make: Callable[..., Any]) -> Callable[..., Any]:
        SHAPES[name] = Shape(needs, may or {}, fields, make)
        return make

    return register


@shape("messages", {"messages": "turns"})
def messages(table: pa.Table) -> tuple[pa.Array, Problems]:
    """Chat turns with a role and a content."""
    return _turns(table["messages"].combine_chunks(), "role", "content")


@shape("conversations", {"conversations": "turns"}, fields=TURN_FIELDS[1])
def conversations(table: pa.Table) -> tuple[pa.Array, Problems]:
    """ShareGPT's turns: from whom, and the value."""
    return _turns(table["conversations"].combine_chunks(), "from", "value")


@shape("instruction", {"instruction": "text", "output": "text"}, {"input": "text"})
def instruction(table: pa.Table) -> tuple[pa.Array, Problems]:
    """Alpaca's instruction, with an input behind it where there is one, and output."""
    asked = _text(table, "instruction")
    given = _text(table, "input") if "input" in table.column_names else pa.nulls(len(table), pa.string())
    more = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(pc.fill_null(given, ""))), 0)
    prompt = pc.if_else(more, pc.binary_join_element_wise(asked, pc.fill_null(given, ""), "\n\n"), asked)
    return _dialog(prompt, _text(table, "output"))


@shape("reasoning", {"prompt": "text", "response": "text"}, {"thinking": "text"})
def reasoning(table: pa.Table) -> tuple[pa.Array, Problems]:
    """A prompt and a response; thinking, where there is some, goes between tags before the response."""
    response = _text(table, "response")
    if "thinking" in table.column_names:
        thinking = pc.utf8_trim_whitespace(pc.fill_null(_text(table, "thinking"), ""))
        whole = pc.binary_join_element_wise(f"{OPEN}\n", thinking, f"\n{CLOSE}\n\n", response, "")
        response = pc.if_else(pc.equal(thinking, ""), response, whole)
    return _dialog(_text(table, "prompt"), response)


@shape("choices", {"prompt": "text", "answer": "text"}, {"choices": "texts", "context": "text"})
def choices(
    table: pa.Table, *, options: tuple[str, ...] = (), answer: Answer = "text", said: Mapping[str, str] | None = None,
    seed: int = 0,
) -> tuple[pa.Array, Problems]:  # fmt: skip
    """A question with lettered options, and the letter of the right one.

    Args:
        table: (n,) rows. Columns that start with `choice ` are choices, in the order of the columns; else `choices` is.
        options: The choices, where all questions have the same.
        answer: What the column `answer` holds, one of `Answer`.
        said: Choice → how it is written, such as TRUE → 참.
        seed: Of the options' order.
    """
    listed = [name for name in table.column_names if name.startswith("choice ")]
    columns = {name: table[name].to_pylist() for name in table.column_names}
    prompts, responses, problems = list[str | None](), list[str | None](), np.full(len(table), None, dtype=object)
    for row in range(len(table)):
        given: list[str | None] | None = list(options)
        if not given:
            given = [columns[name][row] for name in listed] if listed else columns["choices"][row]
        try:
            prompt, response = _question(
                columns["prompt"][row], columns["context"][row] if "context" in columns else None, given,
                columns["answer"][row], answer, said or {}, seed,
            )  # fmt: skip
        except ValueError as error:
            prompt, response, problems[row] = "", "", str(error)
        prompts.append(prompt)
        responses.append(response)
    return _dialog(pa.array(prompts, pa.string()), pa.array(responses, pa.string()), problems)


def _question(
    prompt: str | None, context: str | None, given: list[str | None] | None, right: str | None, kind: str,
    said: Mapping[str, str], seed: int,
) -> tuple[str, str]:  # fmt: skip
    if not prompt or not prompt.strip():
        raise ValueError("no prompt")
    texts = [one.strip() for one in given or [] if one is not None and one.strip()]
    if not 2 <= len(texts) <= len(LETTERS) or len(texts) < len(given or []):
        raise ValueError(f"{len(texts)} of {len(given or [])} choices have text")
    if len(set(texts)) < len(texts):
        raise ValueError("two choices are the same")
    answer = texts[_place((right or "").strip(), texts, kind)]
    key = hashlib.blake2b(f"{seed} {prompt}".encode(), digest_size=16).digest()
    texts.sort(key=lambda text: hashlib.blake2b(text.encode(), key=key, digest_size=8).digest())
    lines = [f"{letter}. {said.get(text, text)}" for letter, text in zip(LETTERS, texts, strict=False)]
    asked = [part.strip() for part in (context, prompt) if part and part.strip()]
    return "\n\n".join([*asked, "\n".join(lines)]), f"정답: {LETTERS[texts.index(answer)]}"


def _place(right: str, texts: list[str], kind: str) -> int:
    """Which choice is the right one."""
    if kind == "text":
        place = texts.index(right) if right in texts else -1
    elif kind == "letter":
        bare = right.strip("().").upper()
        place = LETTERS.find(bare) if len(bare) == 1 else -1
    else:
        place = int(right) - int(kind) if right.isascii() and right.isdigit() else -1
    if not 0 <= place < len(texts):
        raise ValueError(f"the answer {right[:40]!r} is none of the {len(texts)} choices")
    return place


def _text(table: pa.Table, name: str) -> pa.StringArray:
    return table[name].combine_chunks()


def _dialog(
    prompt: pa.StringArray, response: pa.StringArray, problems: Problems | None = None
) -> tuple[pa.Array, Problems]:
    """Two turns a row."""
    rows = len(prompt)
    problems = np.full(rows, None, dtype=object) if problems is None else problems
    for texts, said in ((response, "no response"), (prompt, "no prompt")):
        blank = np.asarray(pc.equal(pc.utf8_trim_whitespace(pc.fill_null(texts, "")), ""))
        problems[blank & np.array([problem is None for problem in problems], dtype=bool)] = said
    both = pa.concat_arrays([part.combine_chunks() if isinstance(part, pa.ChunkedArray) else part
                             for part in (pc.fill_null(prompt, ""), pc.fill_null(response, ""))])  # fmt: skip
    order = np.arange(2 * rows).reshape(2, rows).T.ravel()
    roles = pa.array(["user", "assistant"] * rows, pa.string())
    turns = pa.StructArray.from_arrays([roles, both.take(pa.array(order))], ["role", "content"])
    return pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * rows + 1, 2), pa.int32()), turns).cast(MESSAGES), problems


def _turns(found: pa.ListArray, role: str, content: str) -> tuple[pa.Array, Problems]:
    """Turns under the names that templates take."""
    rows = len(found)
    sizes = np.asarray(pc.fill_null(pc.list_value_length(found), 0))
    turns = found.flatten()
    row_of = np.repeat(np.arange(rows), sizes)
    names = pc.fill_null(pc.utf8_lower(pc.utf8_trim_whitespace(turns.field(role))), "")
    kinds = names.dictionary_encode()
    known = pa.array([ROLES.get(name) for name in kinds.dictionary.to_pylist()], pa.string())
    roles = known.take(kinds.indices)
    contents = turns.field(content)
    problems = np.full(rows, None, dtype=object)
    assistant = np.asarray(pc.fill_null(pc.equal(roles, "assistant"), False))
    problems[np.bincount(row_of[assistant], minlength=rows) == 0] = "no turn of the assistant"
    for place in np.flatnonzero(np.asarray(contents.is_null())):
        problems[row_of[place]] = "a turn has no content"
    for place in np.flatnonzero(np.asarray(roles.is_null())):
        problems[row_of[place]] = f"the role {names[place].as_py()[:40]!r} is none of {', '.join(ROLES)}"
    problems[sizes == 0] = "no turns"
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    filled = pa.StructArray.from_arrays([pc.fill_null(roles, ""), pc.fill_null(contents, "")], ["role", "content"])
    return pa.ListArray.from_arrays(offsets, filled).cast(MESSAGES), problems
