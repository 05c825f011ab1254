"""Runs: many frames in time order. Where the needle goes, and where the contrast goes."""
