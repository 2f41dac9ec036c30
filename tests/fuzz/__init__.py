"""Mutants of everything that EdgeKit reads: each ends in an answer or in an EdgeKitError, soon and in little memory."""
