"""Released weights of others, read into our networks: one file a format."""

from taskgan.recogniser.weights.vgg_face import load_vgg_face

__all__ = ["load_vgg_face"]
