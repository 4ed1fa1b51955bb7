# Functions only: what the paper's items are made of.
# Needs: the resolved configurations. Makes: lists of files, and parameters of jobs.


def made_of(item):
    """Parameter function: the datasets that a paper item is made of; stop if there is none."""

    def datasets(wildcards):
        found = item_datasets(item)
        if not found:
            stop(
                f"paper_items.{item}: it can be made of none of {config['paper_items'][item] or 'the datasets'} in this "
                "run, which are without the sections or the labels that it needs; name one in the configuration."
            )
        return found

    return datasets


def every_gene(wildcards):
    """The errors of every gene, by every method on every test section of Figure 4."""
    return [
        f"<results>/{dataset}/generation/{section}/{method}.genes.csv"
        for dataset in made_of("figure_4")(wildcards)
        for section in DATASETS[dataset]["sections"]["test"]
        for method in DATASETS[dataset]["generation"]["methods"]
    ]


def mapped_items(wildcards):
    """What docs/paper_map.md says of every item of the paper that is made: target, description, files, data."""
    of_variants = {table: ablation_dataset() for table in config["ablation"]["tables"]}
    items = {"figure_2c": []} | {item: item_datasets(item) for item in config["paper_items"]} | of_variants
    return [
        {
            "target": item,
            "description": workflow.get_rule(item).docstring,
            "rule": Path(workflow.get_rule(item).snakefile).name,
            "script": Path(workflow.get_rule(item).script).name,
            "datasets": datasets + [config["perturbation"]["reference"]] * (ITEM_TASKS.get(item) == "perturbation"),
            "outputs": [str(path) for path in workflow.get_rule(item).output],
        }
        for item, datasets in items.items()
        if re.match("table|figure", item)
    ]
