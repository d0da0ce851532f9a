"""A trial on a machine with too little memory: a pass of more than MOST_TOKENS asks for more than there is."""

import os
import sys
from pathlib import Path

import torch
from transformers import Lfm2ForCausalLM

from composer.trial.run import main

MOST = int(os.environ["MOST_TOKENS"])
forward = Lfm2ForCausalLM.forward


def hungry(self, input_ids=None, **told):
    if MOST and self.training and input_ids.numel() > MOST:
        torch.empty(2**55, dtype=torch.uint8)  # the allocator's own error
    return forward(self, input_ids=input_ids, **told)


Lfm2ForCausalLM.forward = hungry
sys.exit(main(Path(sys.argv[1])))
