"""Scores of every task in one tidy table (`gest.paper.scores.table`), and the statistics computed from it."""
