"""GitHub, as the workflows use it: its REST interface, addresses, tags, notices and images.

These modules use the standard library only, so that a job with write permissions runs them with the
system's Python and installs nothing: `python3 -m ratchet.github.notices comment`.
"""
