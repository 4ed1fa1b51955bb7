"""Compute the files and parameters of the workflow's rules from a configuration.

The Snakefile adds defaults to the configuration (`configuration`) and makes a `Run` of it, which checks it (`checks`).
A `Run` has a part for each kind of rule (`upstream`, `sections`, `generation`, `labelling`, `perturbation`, `ablation`)
and for the paper's tables and figures (`items`, `figures`). All are pure functions of the configuration: they return
paths and parameters and read no data. `rules` serves the rules themselves: patterns of wildcards, options, memory.

Nothing here imports Snakemake. Paths start with ``<results>``, which the Snakefile defines (``pathvars``).
"""
