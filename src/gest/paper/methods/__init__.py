"""Run the methods of each task on a section; `generation`, `clustering` and `annotation` are the entry points."""
