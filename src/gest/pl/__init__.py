"""Figures for users and for the paper: maps of cells, the effect of a perturbation, and saving."""
