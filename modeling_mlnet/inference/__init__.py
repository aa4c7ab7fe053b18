"""From images to files of their maps: what to read, the network on this machine, what to write."""
