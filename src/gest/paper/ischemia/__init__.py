"""The ischemia experiment (section 4.4): the reference data, the perturbations and their scores."""
