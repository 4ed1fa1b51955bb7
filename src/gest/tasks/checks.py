"""Checks of parameters that several tasks share."""

from gest.errors import UserError


def check_batch_size(batch_size: int | None, verb: str) -> None:
    """Raise UserError if a batch size is below 1; None stands for the default."""
    if batch_size is not None and batch_size < 1:
        raise UserError(f"{verb}: the batch size is {batch_size} (expected at least 1).")
