"""Training a quantized program: roundings with gradients, the network made of them, what it is trained for, and how."""
