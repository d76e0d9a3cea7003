"""Builds the C kernel; everything else about the package stands in pyproject.toml."""

from setuptools import setup

setup(cffi_modules=["csrc/build_resonance.py:ffibuilder"])
