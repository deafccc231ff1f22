"""Demos: every verb once, on simulated data."""

from taskgan.demo.pet import METHODS as METHODS
from taskgan.demo.pet import demo_pet as demo_pet
