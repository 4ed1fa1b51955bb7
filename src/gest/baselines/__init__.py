"""Methods that GeST is compared with: the paper's baselines, simple controls, and packaged methods.

`registry` lists them. The baselines of generation (section 4.1) are functions with the same signature,
`predict(xy_seen, expression_seen, xy_unseen, *, seed) -> (m, T) float32`. Positions are in µm; expression is dense and
log-normalised.
"""
