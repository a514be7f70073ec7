"""The products: a few lines of drawing each, in files by trade; `catalogue` holds their order."""

from .catalogue import PRODUCTS, names
from .registry import Product

__all__ = ["PRODUCTS", "Product", "names"]
