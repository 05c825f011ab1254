"""Measures where a bone-marrow needle lies in saved fluoroscopy and ultrasound frames. Research and quality review only."""
