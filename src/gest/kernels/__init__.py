"""Compiled kernels for `gest.attention`, one file per device.

`gest.attention` chooses between them and its implementation in PyTorch.
"""
