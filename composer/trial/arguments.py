"""A recipe's trainer settings as transformers' Trainer takes them, and the model as they want it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, TrainingArguments

from composer.config_trainer import TrainerConfig


def prepared(model: PreTrainedModel, config: TrainerConfig) -> Any:
    """The model with adapters, and with its layers compiled, where the settings say so."""
    if config.lora is not None:
        from peft import LoraConfig, get_peft_model

        of = config.lora
        targets = of.targets if of.targets == "all-linear" else [name.strip() for name in of.targets.split(",")]
        adapters = LoraConfig(
            r=of.rank, lora_alpha=of.alpha, lora_dropout=of.dropout, target_modules=targets, task_type="CAUSAL_LM"
        )  # fmt: skip
        model = get_peft_model(model, adapters)
    if config.compile:
        layers = set(base_of(model)._no_split_modules or ())
        for module in model.modules():
            if type(module).__name__ in layers:
                module.compile(dynamic=True)
    return model


def base_of(model: Any) -> PreTrainedModel:
    """The model below its adapters."""
    base: PreTrainedModel = model.get_base_model() if hasattr(model, "get_base_model") else model
    return base


def arguments(model: Any, config: TrainerConfig, steps: int, seed: int, scratch: Path) -> TrainingArguments:
    """Transformers' arguments for `steps` optimizer steps; batches, passes and checkpoints are the loop's own."""
    on_gpu = torch.cuda.is_available()
    names = {"adamw": "adamw_torch_fused" if on_gpu else "adamw_torch", "adamw_8bit": "adamw_bnb_8bit"}
    more: dict[str, Any] = {"gradient_checkpointing": True} if config.gradient_checkpointing else {}
    if config.sharding == "fsdp":
        wrapped = {"transformer_layer_cls_to_wrap": sorted(base_of(model)._no_split_modules or ())}
        more |= {"fsdp": True, "fsdp_config": {"version": 2, "auto_wrap_policy": "TRANSFORMER_BASED_WRAP", **wrapped}}
    if config.kernels == "liger":
        # The head is the loop's own, which keeps the loss of each token.
        more |= {
            "use_liger_kernel": True,
            "liger_kernel_config": {"cross_entropy": False, "fused_linear_cross_entropy": False},
        }
    return TrainingArguments(
        output_dir=str(scratch),
        max_steps=steps,
        per_device_train_batch_size=1,  # a batch is the number of a step
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=min(config.warmup_steps, steps - 1),
        weight_decay=config.weight_decay,
        optim=names.get(config.optimizer, config.optimizer),
        max_grad_norm=config.max_grad_norm,
        seed=seed,
        data_seed=seed,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
        remove_unused_columns=False,
        use_cpu=not on_gpu,
        bf16=on_gpu and (config.precision == "bf16" or base_of(model).dtype == torch.bfloat16),
        ddp_find_unused_parameters=False,
        **more,
    )
