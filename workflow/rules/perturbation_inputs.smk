# Functions only: what the ischaemia experiment is made of.
# Needs: the resolved configurations, and the datasets of the paper's items. Makes: lists of files, and parameters of jobs.


def perturbed_datasets():
    """Datasets of the ABC Atlas to perturb a section of: those with a model, in a run that has the ischaemia data."""
    if config["perturbation"]["reference"] not in DATASETS:
        return []
    return [name for name in generation_datasets() if DATASETS[name]["source"] == "abc_atlas"]


def ischemia_sections(wildcards):
    """The sections of the injured and of the sham tissue."""
    reference = config["perturbation"]["reference"]
    return [f"<results>/{reference}/sections/{name}.h5ad" for name in whole_sections(DATASETS[reference])]


def atlas_tables(wildcards):
    """Which section bears which upstream name, an animal each."""
    parts = DATASETS[wildcards.dataset]["parts"]
    return [f"<results>/{wildcards.dataset}/sections/{part}.csv" for part in parts]


def atlas_sections(wildcards):
    """The sections that lie beside these tables: which one is perturbed, they say."""
    dataset = DATASETS[wildcards.dataset]
    return [f"<results>/{wildcards.dataset}/sections/{name}.h5ad" for name in whole_sections(dataset)]


def table_options(wildcards, input):
    """The tables as options of a command."""
    return [f"--table={path}" for path in input.tables]


def perturbation_files(name):
    """Input function: what the experiment wrote, once for each model."""

    def files(wildcards):
        dataset = made_of("table_a3")(wildcards)[0]
        return [f"<results>/{dataset}/perturbation/s{seed}/{name}" for seed in config["model_seeds"]]

    return files


def main_variant(wildcards):
    """What tells the experiment from its variants: its context, and σ in radii of the region."""
    return f"{config['perturbation']['context']}/1"


def known_degs(wildcards, input):
    """The table of genes that are high and low around the infarct; none: the paper's, which `gest` holds."""
    if config["perturbation"]["truth"]:
        return str(folder_of_data(config) / config["perturbation"]["truth"])
    return f"{input.fixtures}/pia_p_degs.csv" if config["fixtures"] else None
