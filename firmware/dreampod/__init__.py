"""What runs on a pod: sensing, sound, and one link to the host."""

VERSION = "0.1.0"
