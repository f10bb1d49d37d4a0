"""Shipped for the tests of those who use dockless: a scripted peer that misbehaves, and made-up images."""
