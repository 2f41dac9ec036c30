"""The nouns that hold programs: a source, what is captured of it, what is quantized, and an artifact."""
