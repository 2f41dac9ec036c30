"""Tests that capture, quantize, lower and run small networks for real."""
