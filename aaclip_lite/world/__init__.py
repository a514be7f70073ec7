"""The embedded world: a factory that draws products with defects, and the CLIP that has seen them."""
