"""Task-GAN: image restoration that keeps what the image means."""

__version__ = "0.1.0"
