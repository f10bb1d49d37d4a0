"""Shipped for the tests of those who use dockless: the contract of stores, a peer that misbehaves, made-up images."""
