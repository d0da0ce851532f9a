"""The mini tokeniser: one token for every name, word and number of the mini world, bytes for the rest.

The world's vocabulary is closed, so the tokeniser is built, not trained: a Unigram model whose pieces are the names
(the same piece wherever the name stands), the numbers up to 99, the words between them and characters, with the 256
bytes to fall back on, so that any text can be read and written back unchanged.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from composer.mini import arithmetic, daily, facts, mcqa, plain

PAD, TEXT_END, TURN_END, USER, ASSISTANT, SYSTEM = (
    "<|pad|>", "<|endoftext|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>",
)  # fmt: skip
THINK, THINK_END = "<think>", "</think>"
CHAT_TOKENS = (TURN_END, USER, ASSISTANT, SYSTEM, THINK, THINK_END)
CONTEXT = 1024

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>{% generation %}{{ message['content'] }}<|end|>"
    "{% endgeneration %}{% else %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

# A name is worth more than any way to cut it up; a byte is the last resort.
_NAME_SCORE, _WORD_SCORE, _BYTE_SCORE = -1.0, -1.5, -20.0
_SAMPLE = 4000  # documents of each kind that are read for their words
_WORD = re.compile(r"[가-힣]+ ?|[^\w\s] ?|\s|.")


def build() -> PreTrainedTokenizerFast:
    """Builds the tokeniser, the same every time."""
    names = _names()
    words = sorted(_words(names) | set(string.printable[:95]) | {"\n"} - set(names))
    special = [PAD, TEXT_END, TURN_END, USER, ASSISTANT, SYSTEM, THINK, THINK_END]
    vocab = [(token, 0.0) for token in special]
    vocab += [(f"<0x{byte:02X}>", _BYTE_SCORE) for byte in range(256)]
    vocab += [(name, _NAME_SCORE) for name in names]
    vocab += [(word, _WORD_SCORE) for word in words]
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=0, byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    # Thinking is text that a reader sees, so its tags are not special: decoding keeps them.
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special[:-2]])
    tokenizer.add_tokens([AddedToken(token, special=False) for token in (THINK, THINK_END)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=TURN_END,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def _names() -> list[str]:
    topics = [topic for talk in daily.TALKS.values() for topic in talk.topics]
    numbers = map(str, range(10, arithmetic.LIMIT + 1))
    return sorted({*facts.names(), *arithmetic.PEOPLE, *arithmetic.THINGS, *topics, *numbers})


def _words(names: list[str]) -> set[str]:
    """The words, with the space that follows them, that stand between the names of the mini world's texts."""
    between = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))
    return {
        word
        for text in _texts()
        for part in between.split(re.sub(r"</?think>|\d", "\0", text))
        for chunk in part.split("\0")
        for word in _WORD.findall(chunk)
        if len(word) > 1 or not word.isspace()
    } | {" "}


def _texts() -> Iterator[str]:
    rng = random.Random(0)
    for _ in range(_SAMPLE):
        yield plain.unmarked(plain.document(rng))
        problem = arithmetic.draw_problem(rng)
        yield from (problem.question, arithmetic.openthought(problem)[1], arithmetic.ko_r1_stem(problem, rng)[1])
        chat = daily.draw_chat(rng)
        yield from (chat.remark, chat.reply)
    for fact in facts.all_facts():
        question = mcqa.draw_question(fact, rng)
        yield from (question.prompt, question.response)


def save(folder: Path) -> PreTrainedTokenizerFast:
    """Builds the tokeniser and saves it in `folder`."""
    tokenizer = build()
    tokenizer.save_pretrained(folder)
    return tokenizer
