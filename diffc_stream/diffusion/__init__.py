"""The mathematics: observations of an image, and the denoisers that tell it from them."""
