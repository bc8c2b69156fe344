"""Tables from opened and aligned runs."""
