"""Arm's chips for integers alone: microcontrollers with CMSIS-NN, the Ethos-U NPUs, and neural GPUs."""
