"""Annotation of niches: `fit_annotator`, `annotate`, the annotator, its fine-tuning and its labels."""
