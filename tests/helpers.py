"""Constants and functions that tests of several rooms share."""

TINY = {
    "window": 300,
    "model": {"layers": 2, "heads": 2, "width": 16},
    "pretraining": {
        "steps": 12,
        "batch_size": 4,
        "learning_rate": 3e-3,
        "warmup_steps": 2,
        "validate_every": 4,
        "checkpoint_every": 4,
    },
}
