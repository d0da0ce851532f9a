"""The engines that lm-eval generates with: transformers' own, or vLLM for long thinking at scale.

Both are taught two things about thinking models. The end of thinking is found by its token id, since many tokenisers
drop `</think>` with the other special tokens; and thinking that a chat template opens in the prompt is marked as open
in the reply, so that thinking that never ends is seen as such.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from composer.answers.replies import CLOSE, OPEN
from composer.errors import NeedsError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_MARKS = ((OPEN, CLOSE), ("[THINK]", "[/THINK]"))  # as tokenisers write them
_GPU_SHARE = 0.85  # of the GPU's memory, for vLLM; the trained weights wait in the host's memory


def check_backend(backend: str) -> None:
    """Raises `NeedsError` where `backend` is not installed here."""
    if backend == "vllm" and importlib.util.find_spec("vllm") is None:
        raise NeedsError(
            "benchmarks.eval_backend is vllm, and vllm is not installed: "
            "pip install 'composer-mix[vllm]' on a machine with a GPU, or benchmarks.eval_backend=hf"
        )


@contextmanager
def language_model(
    backend: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int
) -> Iterator[Any]:
    """Gives `model` as lm-eval's LM, with `set_mode(mode)`: `think`, `no_think`, or None for tasks without modes.

    With `vllm`, the weights are written to a temporary folder and `model` leaves the GPU.

    Raises:
        NeedsError: The backend is not installed.
    """
    check_backend(backend)
    if backend == "vllm":
        with tempfile.TemporaryDirectory(prefix="composer-vllm-") as folder:
            yield _vllm(folder, model, tokenizer)
    else:
        yield _hf(model, tokenizer, batch_size)


def think_marks(tokenizer: PreTrainedTokenizerBase) -> tuple[int | None, int] | None:
    """The token ids that open and close thinking; the opening one may be missing; None without a closing one."""
    known = tokenizer.get_vocab()
    for opening, closing in _MARKS:
        if closing in known:
            return known.get(opening), known[closing]
    return None


def decode_reply(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of generated `ids` without special tokens, but with the think marks, which are told by their ids.

    The marks come out as `<think>` and `</think>` however the tokeniser writes them; the last end counts. Where the
    tokeniser has no such tokens, the text is what it says.
    """
    marks = think_marks(tokenizer)
    if marks is None:
        return str(tokenizer.decode(ids, skip_special_tokens=True))
    opening, closing = marks
    ids = [int(one) for one in ids]

    def said(part: Sequence[int]) -> str:
        text = str(tokenizer.decode([one for one in part if one not in marks], skip_special_tokens=True))
        return text.replace(CLOSE, "").replace(OPEN, "")  # spelled out in other tokens they mark nothing

    if closing in ids:
        end = len(ids) - 1 - ids[::-1].index(closing)
        return f"{OPEN}{said(ids[:end])}{CLOSE}{said(ids[end + 1 :])}"
    return f"{OPEN}{said(ids)}" if opening in ids else said(ids)


def mark_open(prompt: str, reply: str) -> str:
    """The reply with its think mark, where the prompt ends with one: templates often open the thinking themselves."""
    opened = any(prompt.rstrip().endswith(opening) for opening, _ in _MARKS)
    return f"{OPEN}{reply}" if opened and not reply.startswith(OPEN) else reply


def _hf(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int) -> Any:
    from lm_eval.models.huggingface import HFLM

    class ThinkingHF(HFLM):
        mode: str | None = None

        def set_mode(self, mode: str | None) -> None:
            self.mode = mode
            self.chat_template_args = {} if mode is None else {"enable_thinking": mode == "think"}

        def tok_decode(self, tokens: Any, skip_special_tokens: bool = True) -> str:
            if self.mode is None or not skip_special_tokens or isinstance(tokens, int):
                return str(super().tok_decode(tokens, skip_special_tokens=skip_special_tokens))
            return decode_reply(self.tokenizer, tokens)

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            return _marked(self.mode, requests, super().generate_until(requests, disable_tqdm=disable_tqdm))

    return ThinkingHF(
        pretrained=model, tokenizer=tokenizer, batch_size=batch_size, max_length=tokenizer.model_max_length
    )


def _vllm(folder: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
    import torch
    from lm_eval.models.vllm_causallms import VLLM

    class ThinkingVLLM(VLLM):
        mode: str | None = None

        def set_mode(self, mode: str | None) -> None:
            self.mode = mode
            self.enable_thinking = None if mode is None else mode == "think"

        def _model_generate(self, *arguments: Any, **options: Any) -> Any:
            outputs = super()._model_generate(*arguments, **options)
            if self.mode is not None and options.get("generate"):
                for output in outputs:
                    output.outputs[0].text = decode_reply(self.tokenizer, output.outputs[0].token_ids)
            return outputs

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            return _marked(self.mode, requests, super().generate_until(requests, disable_tqdm=disable_tqdm))

    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.cpu()
    torch.cuda.empty_cache()
    longest = min(tokenizer.model_max_length, model.config.max_position_embeddings)
    return ThinkingVLLM(
        pretrained=folder,
        dtype=str(model.dtype).removeprefix("torch."),
        batch_size="auto",
        max_model_len=longest,
        seed=0,
        gpu_memory_utilization=_GPU_SHARE,
    )


def _marked(mode: str | None, requests: list[Any], replies: list[str]) -> list[str]:
    if mode is None:
        return replies
    return [mark_open(request.args[0], reply) for request, reply in zip(requests, replies, strict=True)]
