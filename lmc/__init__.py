"""Linear mode connectivity via neuron identifiability; ``lmc.api`` is the way in from Python."""
