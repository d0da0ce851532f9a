"""The mini benchmarks' items, as lm-eval's `custom_dataset` wants them."""

from composer.mini.items import daily_talk, haerae, kmmlu_redux, kmmlu_redux_no_think, mclm_ko, mclm_ko_no_think

__all__ = ["daily_talk", "haerae", "kmmlu_redux", "kmmlu_redux_no_think", "mclm_ko", "mclm_ko_no_think"]
