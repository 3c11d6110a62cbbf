"""The mathematics: noisy observations of a picture, and the denoisers that guess the picture.

Start with :mod:`diffc_stream.diffusion.observation`.
"""
