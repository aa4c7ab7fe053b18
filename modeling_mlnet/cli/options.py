"""What several commands say of the same option."""

DATASET = "NAME:DIR (salicon, mit1003, cat2000, osie, toronto, folder), a folder or a Hub id."
PROTOCOL = "mit, tuebingen, salicon2015 or salicon2015-unfiltered."
PATHS = "Images, folders, patterns or http(s) addresses; - is standard input."
