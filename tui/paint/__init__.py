"""What the screens show, as pure functions from values to lines of text: no widget, no terminal."""
