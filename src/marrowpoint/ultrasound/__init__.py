"""Reads an ultrasound frame: sector, needle, bone surface."""
