"""The mini world: real facts, seeded generators and a tiny base model, so that the first run needs no network."""
