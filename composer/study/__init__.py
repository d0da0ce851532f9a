"""Studies: the arms of a recipe, repeated over seeds, planned, run and remembered."""
