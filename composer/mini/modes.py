"""How a user of the mini world asks for an answer without thinking, as reasoning models are asked: by a switch."""

SWITCH = " /no_think"  # stands at the end of a question
