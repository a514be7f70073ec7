"""How world, CLIP and recipe were made and measured; nothing imports this room."""
