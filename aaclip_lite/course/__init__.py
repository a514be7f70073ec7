"""What the notebooks use beside the method: pictures, widgets, checks of exercises."""
