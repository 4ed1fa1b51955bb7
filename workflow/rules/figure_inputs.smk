# Functions only: what the figures are drawn from.
# Needs: the resolved configurations, and the datasets of the paper's items. Makes: lists of files, and parameters of jobs.

# The methods that are drawn beside the truth.
DRAWN = ("gest", "gp", "mlp")


def middle_section(dataset, role):
    """The section of a dataset that stands for all in a role: the outermost are small."""
    sections = DATASETS[dataset]["sections"][role]
    return sections[len(sections) // 2]


def files_of(item, *keys, role="test"):
    """Input function: these files of an item's dataset, and of its middle section in a role."""

    def files(wildcards):
        dataset = made_of(item)(wildcards)[0]
        about, folder = DATASETS[dataset], f"<results>/{dataset}"
        sections, section = about["sections"][role], middle_section(dataset, role)
        generation = f"{folder}/generation/{section}"
        drawn = [method for method in DRAWN if method in about["generation"]["methods"]]
        known = {
            "section": f"{folder}/sections/{section}.h5ad",
            "sections": [f"{folder}/sections/{name}.h5ad" for name in sections],
            "vocabulary": f"{folder}/vocabulary.npz",
            "crops": f"{generation}/crops.json",
            "svg": f"{generation}/svg.csv",
            "rounds": f"{generation}/gest.h5ad",
            "predictions": [f"{generation}/{method}.h5ad" for method in drawn],
        }
        return {key: known[key] for key in keys}

    return files


def setting_of(item, *keys):
    """Parameter function: one setting of an item's dataset."""

    def setting(wildcards):
        value = DATASETS[made_of(item)(wildcards)[0]]
        for key in keys:
            value = value[key]
        return value

    return setting


def figure_a1_inputs(wildcards):
    """The section drawn, its ranking of genes, and the first model of either kind: two variants of one length of training."""
    dataset, seed = made_of("figure_a1")(wildcards)[0], config["ablation"]["seeds"][0]
    baseline, continuous = (trained(dataset, name) for name in ("baseline", "no_quantisation"))
    return files_of("figure_a1", "section", "svg")(wildcards) | {
        "quantised": f"<results>/{dataset}/ablation/{baseline}/model-s{seed}",
        "continuous": f"<results>/{dataset}/ablation/{continuous}/model-s{seed}",
    }
