"""Compute the files and parameters of the workflow's rules from a configuration.

The Snakefile completes the configuration with defaults (`configuration`) and creates a `Run` from it, which checks it
(`checks`). A `Run` has one part for each kind of rule (`upstream`, `sections`, `generation`, `labelling`,
`perturbation`, `ablation`) and two for the paper's tables and figures (`items`, `figures`). They return paths and
parameters, depend only on the configuration, and read no data. `rules` has small helpers for rules: wildcard patterns,
options, memory.

Nothing here imports Snakemake. Paths start with ``<results>``, which the Snakefile defines (``pathvars``).
"""
