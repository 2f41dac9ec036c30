"""How results look: in a terminal, in a log, and as JSON. Values in, text out; nothing is computed here."""
