"""The operator matrix: every layer and function that networks are made of, built in both formats and measured."""
