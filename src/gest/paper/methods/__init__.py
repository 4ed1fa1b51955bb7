"""Run every method of a task on a section; `generation`, `clustering` and `annotation` are the entry points."""
