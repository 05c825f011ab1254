"""Reads a fluoroscopic frame: field of view, needle, hip bone."""
