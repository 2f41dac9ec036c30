"""Running: a float model, a quantized program or an artifact on samples gives a trace. One module per runtime."""
