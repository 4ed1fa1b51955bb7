"""The ischemia experiment (section 4.4): reference data, perturbations, and scores of the predicted changes."""
