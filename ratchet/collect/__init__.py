"""Collecting: logged requests whose labels came become rows to train on."""
