"""Figures of the paper, a module each; they return matplotlib figures, neither shown nor saved."""
