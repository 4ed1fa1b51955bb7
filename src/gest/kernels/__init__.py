"""Fast paths of `gest.attention`, one file per device.

`gest.attention` holds the readable reference and chooses the path.
"""
