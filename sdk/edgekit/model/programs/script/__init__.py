"""TorchScript, traced and scripted: read into modules that compute it in plain torch, which can be captured."""
