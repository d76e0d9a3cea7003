"""The dreamscape: scenes that artists write, and the sound they make of sleeping bodies."""

from dreampods.dreamscape.bodies import Bodies
from dreampods.dreamscape.reader import load_scene, scene_names
from dreampods.dreamscape.scene import Scene
from dreampods.dreamscape.synth import Synth

__all__ = ["Bodies", "Scene", "Synth", "load_scene", "scene_names"]
