"""What one image costs in exported files, beside each other."""
