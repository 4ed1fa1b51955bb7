"""Annotation of niches: the verbs `fit_annotator` and `annotate`, the annotator, its fine-tuning and its labels."""
