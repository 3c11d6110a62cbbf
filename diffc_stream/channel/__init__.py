"""Reverse channel coding: bits to a sample that both ends agree on."""
