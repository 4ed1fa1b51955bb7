"""Perturbation of a region: `perturb`, the surroundings, the test of every gene, and controls."""
