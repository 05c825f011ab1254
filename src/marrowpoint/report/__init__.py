"""What leaves the house: records, pictures, pages."""
