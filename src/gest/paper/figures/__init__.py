"""Figures of the paper, one module each. Functions return matplotlib figures without showing or saving them."""
