# `snakemake` in this folder runs the workflow; workflow/Snakefile is its table of contents.
include: "workflow/Snakefile"


workflow.default_target = "all"  # an include does not set it
