"""The parts of the workflows that call GitHub: comments, issues, pull requests, tags, images.

A job with write permissions should run as little code of others as possible. These modules use the
standard library only, so such a job installs nothing: `python3 -m ratchet.github.notices comment`.
"""
