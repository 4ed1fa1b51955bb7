# Functions only: what the rules that label cells are made of.
# Needs: the resolved configurations. Makes: lists of files, and parameters of jobs.


def models_of(wildcards):
    """The pre-trained models, for the methods of GeST."""
    if wildcards.method not in MODEL_METHODS:
        return []
    return [f"<results>/{wildcards.dataset}/model-s{seed}" for seed in config["model_seeds"]]


def model_options(wildcards, input):
    """The same as options of a command."""
    return [f"--model={path}" for path in input.models]


def environment_of(wildcards):
    """The isolated environment of a packaged method; none for our own."""
    return f".venvs/{ENVIRONMENTS[wildcards.method]}" if wildcards.method in ENVIRONMENTS else []


def threads_of_method(wildcards):
    """GeST takes what it is given; packaged methods are held to one thread, so that they give the same bytes."""
    return 8 if wildcards.method in MODEL_METHODS else 1


def memory_of_method(wildcards, attempt):
    """GraphST and SpaGCN hold what grows with the square of the number of cells."""
    return attempt * (64000 if wildcards.method in ("graphst", "spagcn") else 16000)


def n_seeds(task):
    """Parameter function: how many seeds a method is run with."""

    def seeds(wildcards):
        return DATASETS[wildcards.dataset][task]["methods"][wildcards.method]

    return seeds


def labels_by_every_method(task, folder, dataset, section):
    """The labels of one section by every method, and what is known of the runs."""
    place, methods = f"<results>/{dataset}/{folder}/{section}", labelling_methods(task, dataset)
    return {
        "labels": [f"{place}/{method}.csv" for method in methods],
        "runs": [f"{place}/{method}.runs.csv" for method in methods],
    }


def labels_of_section(task, folder):
    """Input function: the labels of a job's section by every method."""

    def files(wildcards):
        return labels_by_every_method(task, folder, wildcards.dataset, wildcards.section)

    return files


def label_options(wildcards, input):
    """The same as options of `gest paper score-labels`."""
    return [f"--labels={path}" for path in input.labels]


def label_scores(item, folder):
    """Input function: the scores of every test section of an item's datasets."""

    def files(wildcards):
        return [
            f"<results>/{dataset}/{folder}/{section}.csv"
            for dataset in made_of(item)(wildcards)
            for section in DATASETS[dataset]["sections"]["test"]
        ]

    return files


def label_runs(item, folder):
    """Input function: what is known of every method's runs on the test sections of an item's datasets."""

    def files(wildcards):
        return [
            f"<results>/{dataset}/{folder}/{section}/{method}.runs.csv"
            for dataset in made_of(item)(wildcards)
            for section in DATASETS[dataset]["sections"]["test"]
            for method in labelling_methods(ITEM_TASKS[item], dataset)
        ]

    return files


def shown_section(item):
    """Input function: the section of a figure of labels, the middle one of the item's first dataset."""

    def file(wildcards):
        dataset = made_of(item)(wildcards)[0]
        return f"<results>/{dataset}/sections/{middle_section(dataset, 'test')}.h5ad"

    return file


def shown_labels(item, folder):
    """Input function: the labels of that section by every method."""

    def files(wildcards):
        dataset = made_of(item)(wildcards)[0]
        return labels_by_every_method(ITEM_TASKS[item], folder, dataset, middle_section(dataset, "test"))

    return files


def first_level(item):
    """Parameter function: the coarsest level of an item's labels, the first in the configuration."""

    def level(wildcards):
        return next(iter(DATASETS[made_of(item)(wildcards)[0]]["labels"]))

    return level


def settings_of(item, *keys):
    """Parameter function: one setting of each of an item's datasets, by name; null where a dataset has none."""

    def settings(wildcards):
        values = {name: DATASETS[name] for name in made_of(item)(wildcards)}
        for key in keys:
            values = {name: value.get(key) for name, value in values.items()}
        return values

    return settings
