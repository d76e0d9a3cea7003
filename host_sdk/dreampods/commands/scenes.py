"""`dreampods scenes`: the scenes that come with dreampods."""

from __future__ import annotations

import argparse

from dreampods.dreamscape import load_scene, scene_names

from .arguments import Commands


def add_to(commands: Commands) -> None:
    """Add `scenes`."""
    scenes = commands.add_parser("scenes", help="list the scenes that come with dreampods")
    scenes.set_defaults(command=_scenes)


def _scenes(_options: argparse.Namespace) -> None:
    for name in scene_names():
        scene = load_scene(name)
        print(f"{name:12} {scene.seconds:5.0f} s  {scene.description}")
