"""Scores of every task as one tidy table (`gest.paper.scores.table`), and the statistics drawn from it."""
