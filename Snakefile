# Table of contents. `snakemake NAME` makes one deliverable by the name of its rule, `snakemake all` every one;
# `--profile toy` and `--profile slurm` say what and where, `--configfile` takes another run.
# Everything of a run lies under results/{run}; config/README.md explains the configuration.

from pathlib import Path

import yaml
from snakemake.utils import min_version

min_version("9.27")


configfile: "config/datasets.yaml"
configfile: "config/config.yaml"


include: "workflow/rules/configuration.smk"
include: "workflow/rules/checks.smk"
include: "workflow/rules/inputs.smk"


PAPERS = yaml.safe_load(Path(workflow.basedir, "config", "config.yaml").read_text())["datasets"]
config["datasets"] = without_the_papers(config["datasets"], PAPERS)
check_schema(config, Path(workflow.basedir, "workflow", "schemas", "config.schema.yaml"))
DATASETS = resolve_datasets(config)
VARIANTS = config["ablation"]["variants"]
check_tables(config["ablation"])
check_items(config["paper_items"], DATASETS, PAPERS)
check_run(config, PAPERS)


pathvars:
    results=f"results/{config['run']}",
    logs=f"logs/{config['run']}",
    benchmarks=f"results/{config['run']}/benchmarks",


wildcard_constraints:
    dataset=one_of(DATASETS),
    section="[^/]+",
    stage=one_of([*STAGES, *(f"{stage}-{name}" for stage in ("pretraining", "vocabulary") for name in VARIANTS)]),
    variant=one_of(VARIANTS),
    method=one_of(METHODS),
    model_seed=r"\d+",


report: "workflow/report/workflow.rst"


localrules:
    all,
    configuration,
    download,  # the nodes of a cluster seldom reach the internet


rule all:
    """Every table and figure of the run, and the paper against reproduction."""
    default_target: True
    input:
        deliverables,


# In the order in which they run.
include: "workflow/rules/upstream.smk"
include: "workflow/rules/environments.smk"
include: "workflow/rules/sections.smk"
include: "workflow/rules/vocabulary.smk"
include: "workflow/rules/pretraining.smk"
include: "workflow/rules/generation.smk"
include: "workflow/rules/ablation.smk"
include: "workflow/rules/accumulation.smk"
include: "workflow/rules/clustering.smk"
include: "workflow/rules/annotation.smk"
include: "workflow/rules/perturbation.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/label_items.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
