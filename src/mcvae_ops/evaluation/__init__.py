"""Models compared on several screens: estimates, differences, aims, and their page."""
