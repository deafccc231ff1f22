"""Released weights of others, read into our networks: one file a format."""

from taskgan.judges.weights.formats import load_vgg_face

__all__ = ["load_vgg_face"]
