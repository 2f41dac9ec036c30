"""A store that many machines share: blobs by their digest, documents by their name, in a folder or at a URL."""
