"""A bundle as a folder that runs on Linux without Python: a small program, the runtime's libraries, the model."""
