"""The mini benchmarks' items, as lm-eval's `custom_dataset` wants them."""

from composer.mini.items import daily_talk, haerae, kmmlu_redux, mclm_ko

__all__ = ["daily_talk", "haerae", "kmmlu_redux", "mclm_ko"]
