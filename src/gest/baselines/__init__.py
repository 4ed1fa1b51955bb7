"""Methods that GeST is compared with: the paper's baselines, controls of known meaning, and packaged methods.

`registry` lists them. The baselines of generation (section 4.1) share one contract,
`predict(xy_seen, expression_seen, xy_unseen, *, seed) -> (m, T) float32`, with positions in µm and dense
log-normalised expression.
"""
