"""Perturbation of a region: the verb `perturb`, the surroundings, the test of every gene, and controls."""
