"""Boards as data: pins, parts, limits; checked for conflicts, compiled for the pod, drawn for people."""

from .board import Board
from .reader import load_board
from .sheet import board_names

__all__ = ["Board", "board_names", "load_board"]
