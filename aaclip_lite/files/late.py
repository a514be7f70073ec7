"""What the core may ask a ring for without importing it: resolved when first used.

The method must not depend on the toy world or on exporters, and still `open_dataset("factory/x")`
and `detector.to_onnx(path)` should work. These lines are the only knots between them.
Use: `late("onnx")(detector, path, "bottle")`.
"""

from importlib import import_module

HOMES = {
    "baselines": "aaclip_lite.service.baselines:baselines",
    "calibrate": "aaclip_lite.service.calibration:calibrate",
    "factory": "aaclip_lite.world.factory:open_set",
    "onnx": "aaclip_lite.service.export:to_onnx",
    "variant": "aaclip_lite.variants:build",
    "hub": "aaclip_lite.service.export:push_to_hub",
    "references": "aaclip_lite.service.sound_parts:of_references",
    "parts": "aaclip_lite.service.sound_parts:of_parts",
    "read": "aaclip_lite.service.saved:read",
    "write": "aaclip_lite.service.saved:write",
}


def late(name: str):
    module, _, attribute = HOMES[name].partition(":")
    return getattr(import_module(module), attribute)
