"""Trains the mini base on plain text and saves it: `python -m composer.mini.pretrain OUT`.

An LFM2 of 1.1 million parameters: one short convolution, by which a token sees the two before it, and two attention
layers, started near a circuit for looking things up (`_start_near_matching`), which a random start does not find.
The shipped checkpoint was made with the settings below; `settings.json` beside it repeats them with what was reached.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import math
import random
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import Lfm2Config, Lfm2ForCausalLM, PreTrainedTokenizerFast

from composer.mini import plain
from composer.mini import tokenizer as mini_tokenizer
from composer.mini.facts import all_facts
from composer.mini.mcqa import statement

IGNORED = -100  # the label that cross entropy leaves out


@dataclass(frozen=True)
class Settings:
    """How the base is trained; `tokens` counts every token read, once each."""

    seed: int = 0
    steps: int = 3600
    batch: int = 20
    length: int = 192
    peak_lr: float = 1e-3
    warmup: int = 100
    copying_first: int = 800
    decay: int = 1200
    weight_decay: float = 0.1
    width: int = 128
    feed_forward: int = 448
    heads: int = 4
    layers: tuple[str, ...] = ("conv", "full_attention", "full_attention")
    initializer_range: float = 0.1

    @property
    def tokens(self) -> int:
        """Tokens read in training."""
        return self.steps * self.batch * self.length


def build_model(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> Lfm2ForCausalLM:
    """An untrained model of the settings' shape, seeded."""
    torch.manual_seed(settings.seed)
    config = Lfm2Config(
        vocab_size=len(tokenizer),
        hidden_size=settings.width,
        intermediate_size=settings.feed_forward,
        block_auto_adjust_ff_dim=False,
        num_hidden_layers=len(settings.layers),
        layer_types=list(settings.layers),
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=mini_tokenizer.CONTEXT,
        initializer_range=settings.initializer_range,
        conv_bias=True,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = Lfm2ForCausalLM(config)
    _start_near_matching(model)
    return model


@torch.no_grad()
def _start_near_matching(model: Lfm2ForCausalLM) -> None:
    """Initialises the model near a circuit that finds a token again and copies what stands beside it.

    The convolution passes on the two tokens before, queries and keys are alike, what is attended to is passed on
    unturned, and the feed-forward layers speak softly at first. From a random start, looking up a label stays at
    chance for millions of tokens at this width; from here it is learned in half a million.
    """
    width = model.config.hidden_size
    for layer in model.model.layers:
        layer.feed_forward.w2.weight.mul_(0.02)
        if layer.is_attention_layer:
            attention = layer.self_attn
            torch.nn.init.orthogonal_(attention.q_proj.weight)
            attention.k_proj.weight.copy_(attention.q_proj.weight)
            torch.nn.init.orthogonal_(attention.v_proj.weight, gain=0.3)
            attention.out_proj.weight.copy_(attention.v_proj.weight.T)
        else:
            gates_and_input, kernel = layer.conv.in_proj, layer.conv.conv
            torch.nn.init.normal_(gates_and_input.weight, std=0.02)
            gates_and_input.weight[2 * width :] += torch.eye(width)
            torch.nn.init.zeros_(gates_and_input.bias)
            gates_and_input.bias[: 2 * width] = 1.0  # both gates open
            torch.nn.init.normal_(kernel.weight, std=0.02)
            kernel.weight += torch.tensor([0.6, 0.6, 0.0])  # the two tokens before, not the token itself
            torch.nn.init.zeros_(kernel.bias)
            torch.nn.init.normal_(layer.conv.out_proj.weight, std=0.01)
            layer.conv.out_proj.weight += 0.1 * torch.eye(width)
            torch.nn.init.zeros_(layer.conv.out_proj.bias)
    model.lm_head.weight.copy_(model.model.embed_tokens.weight)


@torch.no_grad()
def _place_unread(model: Lfm2ForCausalLM, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
    """Starts the chat format's tokens, which stand in no plain text, near the mean of the signs that do.

    New tokens of a grown vocabulary are commonly started at a mean. From where the initialiser left them, a trial of
    some hundred rows often learns answers by heart before it learns to read past these tokens to the question.
    """
    embedding = model.model.embed_tokens.weight
    unread = tokenizer.convert_tokens_to_ids(list(mini_tokenizer.CHAT_TOKENS))
    signs = embedding[tokenizer.convert_tokens_to_ids(list(plain.SIGNS))]
    noise = torch.randn(len(unread), embedding.shape[1], generator=torch.Generator().manual_seed(seed))
    embedding[unread] = signs.mean(dim=0) + 0.02 * noise


def batches(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches of token ids and labels, (batch, length): documents end to end, cut where a block is full.

    The first `copying_first` batches hold look-ups and echoes alone: among other texts, learning to copy what stands in
    the text takes ten times as long.
    """
    rng = random.Random(settings.seed)
    end = tokenizer.convert_tokens_to_ids(mini_tokenizer.TEXT_END)
    size = settings.batch * settings.length
    ids, labels = list[int](), list[int]()
    for step in itertools.count():
        draw = plain.copying if step < settings.copying_first else plain.document
        while len(ids) < size:
            for text in (draw(rng) for _ in range(64)):
                for part, learned in _parts(text):
                    tokens = tokenizer(part)["input_ids"]
                    ids += tokens
                    labels += tokens if learned else [IGNORED] * len(tokens)
                ids.append(end)
                labels.append(end)
        shape = settings.batch, settings.length
        yield torch.tensor(ids[:size]).view(shape), torch.tensor(labels[:size]).view(shape)
        del ids[:size], labels[:size]


def _parts(document: str) -> Iterator[tuple[str, bool]]:
    """The parts of a document between its marks, and whether each is learned."""
    learned = True
    for part in re.split(f"([{plain.GIVEN}{plain.LEARNED}])", document):
        if part in {plain.GIVEN, plain.LEARNED}:
            learned = part == plain.LEARNED
        elif part:
            yield part, learned


def learning_rate(settings: Settings, step: int) -> float:
    """Warm-up, a plateau, then a linear fall to zero over the last `decay` steps."""
    rise = min(1.0, (step + 1) / settings.warmup)
    fall = min(1.0, (settings.steps - step) / settings.decay)
    return settings.peak_lr * min(rise, fall)


@torch.no_grad()
def probe(model: Lfm2ForCausalLM, tokenizer: PreTrainedTokenizerFast, seed: int = 1) -> dict[str, float]:
    """What the base knows: share of right next tokens at the value of a fact, a looked-up label, a result's digits."""
    rng = random.Random(seed)
    facts = random.Random(seed).sample(all_facts(), 400)
    prompts = [statement(fact).split(fact.value)[0] for fact in facts]
    recall = _right(model, tokenizer, [(prompt, fact.value) for prompt, fact in zip(prompts, facts, strict=True)])
    lookups: list[tuple[str, str]] = []
    results: list[tuple[str, str]] = []
    while len(lookups) < 400:
        text, _, rest = plain.lookups(rng).partition(plain.LEARNED)
        lookups.append((plain.unmarked(text), rest.partition(plain.GIVEN)[0]))
    while len(results) < 400:
        left, _, right = plain.equations(rng).partition("=")
        results.append((left + "=", right.split(",")[0].split(" ")[0].rstrip(".")))
    return {
        "facts": recall,
        "lookups": _right(model, tokenizer, lookups),
        "equations": _right(model, tokenizer, results),
    }


def _right(model: Lfm2ForCausalLM, tokenizer: PreTrainedTokenizerFast, pairs: list[tuple[str, str]]) -> float:
    """The share of (prompt, answer) pairs whose every answer token is the model's first choice."""
    right = 0
    for prompt, answer in pairs:
        ids, gold = tokenizer(prompt)["input_ids"], tokenizer(answer)["input_ids"]
        logits = model(torch.tensor([ids + gold])).logits[0, len(ids) - 1 : -1]
        right += bool((logits.argmax(-1) == torch.tensor(gold)).all())
    return right / len(pairs)


def train(settings: Settings, folder: Path) -> None:
    """Trains the base and saves model (half precision), tokeniser and settings in `folder`."""
    tokenizer = mini_tokenizer.save(folder)
    model = build_model(settings, tokenizer)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain_ = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain_, "weight_decay": 0.0}],
        lr=settings.peak_lr,
        betas=(0.9, 0.98),
        fused=True,
    )
    started, losses = time.monotonic(), []
    for step, (ids, labels) in zip(range(settings.steps), batches(settings, tokenizer), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if (step + 1) % 300 == 0 or step + 1 == settings.steps:
            rate = (step + 1) * settings.batch * settings.length / (time.monotonic() - started)
            mean = math.fsum(losses[-300:]) / len(losses[-300:])
            print(f"step {step + 1} loss {mean:.3f} tokens/s {rate:.0f} {probe(model, tokenizer)}", flush=True)
            _save(model, settings, folder, mean, tokenizer)


def _save(
    model: Lfm2ForCausalLM, settings: Settings, folder: Path, loss: float, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Saves the model in half precision, with its settings and what it reached."""
    saved = copy.deepcopy(model)
    _place_unread(saved, tokenizer, settings.seed)
    saved.half().save_pretrained(folder)
    reached = {"loss": round(loss, 4), **probe(model, tokenizer), "parameters": model.num_parameters()}
    record = {**asdict(settings), "tokens": settings.tokens, "reached": reached}
    (folder / "settings.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def main() -> None:
    """Trains the base with the settings above."""
    parser = argparse.ArgumentParser(description="Train the mini base model.")
    parser.add_argument("out", type=Path, help="the folder to write the checkpoint to")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    args = parser.parse_args()
    train(Settings(steps=args.steps), args.out)


if __name__ == "__main__":
    main()
