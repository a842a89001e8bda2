"""Two fits in one process, the second with another seed."""

import sys

from experiments.run import main

for seed in ("0", "1"):
    code = main("fit", ["--config", sys.argv[1], "--runs", sys.argv[2], "--seed_everything", seed, *sys.argv[3:]])
    assert code == 0
