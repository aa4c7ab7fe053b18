"""Files and pictures shared by all rooms: whole writing, progress, overlays, figures."""
