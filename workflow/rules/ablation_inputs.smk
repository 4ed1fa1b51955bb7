# Functions only: what the variants of the model are.
# Needs: the resolved configurations. Makes: lists of files, and parameters of jobs.

import random

VARIANT_TABLES = {
    "table_3": "Table 3: size of model and data",
    "table_4": "Table 4: window, loss, quantisation, order",
    "table_a4": "Table A.4: spatial information",
    "ablation_extra": "Further variants",
}


def variant_settings(dataset, stage, variant):
    """What one stage reads of a dataset's configuration, with what differs in a variant laid over it."""
    settings = stage_keys(dataset, stage)
    update_config(settings, {k: deepcopy(v) for k, v in VARIANTS[variant].items() if k in STAGES[stage]})
    if stage == "pretraining":
        settings["pretraining"]["target_cells"] = config["ablation"]["target_cells"]
        for unread in ("steps", "warmup_steps", "validate_every"):  # with a number of cells
            del settings["pretraining"][unread]
    return settings


def trained(dataset, variant):
    """The variant that is trained for this one: the first that comes to the same model."""

    def identity(name):
        share = VARIANTS[name].get("share", 1)
        return share, *(variant_settings(dataset, stage, name) for stage in ("pretraining", "vocabulary"))

    return next(name for name in VARIANTS if identity(name) == identity(variant))


def ablation_dataset():
    """The dataset of the ablations, in a list; none where they cannot be made."""
    named = config["ablation"]["dataset"]
    able = [name for name in generation_datasets() if named in (name, None)][:1]
    for name in able:
        sections = ablated(DATASETS[name])["sections"]
        if not sections["validation"]:
            stop(
                f"datasets.{name}.ablation.validation: the ablations need a section whose loss is watched in training, and "
                "there is none; list one, or a part that is `cut` out of another."
            )
    return able


def ablation_tables():
    """The tables of variants that this run makes."""
    return [table for table, listed in config["ablation"]["tables"].items() if listed and ablation_dataset()]


def variants_of(*tables):
    """Parameter function: the variants of tables, each with the one trained for it, what is scored, what it is ordered against."""

    def variants(wildcards):
        if not ablation_dataset():
            stop(
                f"ablation.dataset: '{config['ablation']['dataset']}' is no dataset of this run that has train and test "
                "sections; name one in the configuration."
            )
        dataset = ablation_dataset()[0]
        listed = [name for table in tables or ablation_tables() for name in config["ablation"]["tables"][table]]
        return [
            (
                name,
                trained(dataset, name),
                VARIANTS[name].get("mode", "weighted"),
                VARIANTS[name].get("against", listed[0]),
            )
            for name in dict.fromkeys(listed)
        ]

    return variants


def trained_for(*tables):
    """The distinct trainings of tables of variants, with their dataset's folder."""
    variants = variants_of(*tables)(None)
    folder = f"<results>/{ablation_dataset()[0]}/ablation"
    return [f"{folder}/{variant}" for variant in dict.fromkeys(variant for _, variant, *_ in variants)]


def variant_models(*tables):
    """Input function: the models of tables of variants."""

    def files(wildcards):
        return [f"{folder}/model-s{seed}" for folder in trained_for(*tables) for seed in config["ablation"]["seeds"]]

    return files


def variant_scores(*tables):
    """Input function: the scores of tables of variants."""

    def files(wildcards):
        folders = trained_for(*tables)
        tested = ablated(DATASETS[ablation_dataset()[0]])["sections"]["test"]
        return [f"{folder}/{section}.csv" for folder in folders for section in tested]

    return files


def variant_train(wildcards):
    """The sections that a variant learns from: where it has a share of them, as drawn for this seed."""
    names = DATASETS[wildcards.dataset]["sections"]["train"]
    drawn = random.Random(f"{config['seed']}/{wildcards.model_seed}").sample(names, len(names))
    n = max(round(VARIANTS[wildcards.variant].get("share", 1) * len(names)), 1)
    return [f"<results>/{wildcards.dataset}/sections/{name}.h5ad" for name in names if name in drawn[:n]]


def variant_validation(wildcards):
    """The sections whose loss is watched."""
    names = ablated(DATASETS[wildcards.dataset])["sections"]["validation"]
    return [f"<results>/{wildcards.dataset}/sections/{name}.h5ad" for name in names]


def variant_vocabulary(wildcards):
    """The vocabulary that a variant reads: the dataset's, unless it has one of its own."""
    own = variant_settings(wildcards.dataset, "vocabulary", wildcards.variant)
    if own == stage_keys(wildcards.dataset, "vocabulary"):
        return f"<results>/{wildcards.dataset}/vocabulary.npz"
    return f"<results>/{wildcards.dataset}/ablation/{wildcards.variant}/vocabulary.npz"


def seeds_of_variant(wildcards):
    """The models of one variant."""
    folder = f"<results>/{wildcards.dataset}/ablation/{wildcards.variant}"
    return [f"{folder}/model-s{seed}" for seed in config["ablation"]["seeds"]]
