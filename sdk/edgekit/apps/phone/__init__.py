"""An Android phone at the cable: the debug bridge, what the demo app writes, and the round trip."""
