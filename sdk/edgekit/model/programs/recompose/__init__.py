"""Programs that were decomposed to core ATen: written as the layers that they came from."""
