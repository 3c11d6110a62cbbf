"""Encode many pictures: which files of a folder are pictures, and what each of them becomes."""
