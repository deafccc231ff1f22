"""A channelised Hotelling observer of lesions."""
